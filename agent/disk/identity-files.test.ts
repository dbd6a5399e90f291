import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeCertificate } from "../../test/fakes/node-certificate.js";
import { identityDiskAt } from "./identity-files.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skein-identity-"));
});
afterEach(() => rm(folder, { recursive: true }));

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

test("an identity comes back as it was saved; with any one byte of its certificate changed it is damaged", async () => {
  const made = await nodeCertificate({
    nodeId: "n1",
    role: "worker",
    notBeforeMs: Date.now(),
    notAfterMs: Date.now() + 1e9,
  });
  const { key } = made;
  const disk = identityDiskAt(folder);
  expect(await disk.load()).toBeUndefined();
  const identity = { key, certificate: made.certificate, root: made.certificate };
  await disk.save(identity);
  expect(await disk.load()).toEqual(identity);
  const { raw } = new X509Certificate(made.certificate);
  for (let at = 0; at < raw.length; at++) {
    const damaged = Buffer.from(raw);
    damaged[at] = (damaged[at] ?? 0) ^ 0x04;
    await writeFile(join(folder, "identity", "cert.pem"), pem(damaged));
    await expect(disk.load(), `byte ${at}`).rejects.toMatchObject({ code: "STATE_DAMAGED" });
  }
});
