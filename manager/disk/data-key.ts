// The key that the log and the snapshots of this manager are encrypted with, in a file of its own so that
// a copy of the rest tells nothing.
//
// {"format": 1, "sealedBy": "none", "key": "<32 bytes, base64>"}. `sealedBy` says what the key itself is
// wrapped with: nothing, until autolock gives it a key-encryption key.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import type { StateDir } from "./state-dir.js";

// AES-256.
const KEY_BYTES = 32;

/** Makes one when there is none; `mayMake` is false when something is encrypted already. */
export async function loadDataKey(dir: StateDir, mayMake: boolean): Promise<Uint8Array> {
  const path = join(dir.path, "data-key.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw new Fault("STATE_READ", { path }, error);
    }
    if (!mayMake)
      throw new Fault("KEY_MISSING", { path, why: "the log cannot be read without it" });
    return makeKey(path);
  }
  const key = parseKey(text);
  if (key === undefined) throw new Fault("KEY_DAMAGED", { path, why: "restore it from a backup" });
  return key;
}

async function makeKey(path: string): Promise<Uint8Array> {
  const key = randomBytes(KEY_BYTES);
  const text = JSON.stringify({ format: 1, sealedBy: "none", key: key.toString("base64") });
  await replaceFile(path, Buffer.from(`${text}\n`));
  return key;
}

function parseKey(text: string): Uint8Array | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const fields = parsed as Readonly<Record<string, unknown>>;
  if (fields.format !== 1 || fields.sealedBy !== "none" || typeof fields.key !== "string") {
    return undefined;
  }
  const key = Buffer.from(fields.key, "base64");
  return key.length === KEY_BYTES ? key : undefined;
}
