import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { WireguardKey } from "../overlay/wireguard-key.js";
import { wireguardKeyDiskAt } from "./wireguard-key-file.js";

const folder = mkdtempSync(join(tmpdir(), "skein-key-"));
const path = join(folder, "identity/wireguard.key");
afterAll(() => rmSync(folder, { recursive: true }));

test("a key is kept for its owner alone; one that is gone or damaged is none", async () => {
  const disk = wireguardKeyDiskAt(folder);
  expect(await disk.load()).toBeUndefined();
  const key = WireguardKey.fromChance(Buffer.alloc(32, 9));
  await disk.save(key);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
  expect((await disk.load())?.publicKey).toBe(key.publicKey);
  writeFileSync(path, "half");
  expect(await disk.load()).toBeUndefined();
});
