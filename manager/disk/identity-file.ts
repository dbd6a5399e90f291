// Which manager this folder belongs to, and the manager's own copy of its certificate and key (the
// agent's copy belongs to root, and the manager runs as an ordinary user). The key is encrypted with a data
// key (keyring.ts), so that one file alone depends on the unlock key.
import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32c } from "../../common/crc32c.js";
import { replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { jsonObject } from "../../common/json-object.js";
import type { ManagerDisk, ManagerIdentity, TlsIdentity } from "../seams.js";
import { beginLog } from "./begin-anew.js";
import { FileCipher, SALT_BYTES } from "./cipher.js";
import type { Keyring } from "./keyring.js";
import { salvage } from "./salvage.js";
import type { StateDir } from "./state-dir.js";

/** What the folder holds, but for the log. */
export function managerDisk(dir: StateDir, keys: Keyring): ManagerDisk {
  // What is read may be written again: one at a time, so that nothing older is written over a renewed certificate.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(action: () => Promise<T>): Promise<T> => {
    const turn = last.then(action);
    last = turn.catch(() => {});
    return turn;
  };
  keys.onSealed = async () => {
    await inTurn(() => loadTls(dir, keys));
  };
  return {
    path: dir.path,
    keys,
    loadIdentity: () => loadIdentity(dir),
    saveIdentity: (identity) => saveIdentity(dir, identity),
    loadTls: () => inTurn(() => loadTls(dir, keys)),
    saveTls: (tls) => inTurn(() => saveTls(dir, keys, tls)),
    salvage: () => salvage(dir, keys),
    beginLog: (snapshot) => beginLog(dir, keys, snapshot),
    erase: () =>
      inTurn(async () => {
        await dir.erase();
        keys.erased();
      }),
  };
}

/** `undefined` when this folder has never held a manager. Fault IDENTITY_DAMAGED. */
export async function loadIdentity(dir: StateDir): Promise<ManagerIdentity | undefined> {
  const path = join(dir.path, "identity.json");
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const text = bytes.toString("utf8");
  const identity = isAsWritten(text) ? parseIdentity(text) : undefined;
  if (identity === undefined) throw damaged(path);
  return identity;
}

export async function saveIdentity(dir: StateDir, identity: ManagerIdentity): Promise<void> {
  const { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy, recoversAs } = identity;
  const text = JSON.stringify(
    { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy, recoversAs },
    undefined,
    2,
  );
  await replaceFile(join(dir.path, "identity.json"), Buffer.from(`${withChecksum(text)}\n`));
}

// One file, so that a crash between two renames cannot pair a key with another key's certificate.
const TLS_FILE = "tls.json";

const PURPOSE = "certificate key 1";
// What it protects: that it is the key of this certificate is found out when the two are used together.
const ASSOCIATED = Buffer.from("private key");

/** `undefined` when there is none. Faults IDENTITY_DAMAGED, KEY_LOCKED. Encrypted with the data key of now, if it was not. */
export async function loadTls(dir: StateDir, keys: Keyring): Promise<TlsIdentity | undefined> {
  const path = join(dir.path, "tls", TLS_FILE);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  await keys.ensure();
  const found = parseTls(bytes.toString("utf8"), keys.all);
  if (found === undefined) throw damaged(path);
  // Before this one was written the data key changed; or an earlier release wrote it.
  if (found.key !== keys.current) await saveTls(dir, keys, found.tls);
  else keys.holdForTls(found.key);
  return found.tls;
}

function parseTls(
  text: string,
  keys: readonly Uint8Array[],
): { readonly tls: TlsIdentity; readonly key: Uint8Array | undefined } | undefined {
  const plain = parseStrings(text, ["certificate", "rootCaCert", "privateKey"]);
  const sealed = parseStrings(text, ["certificate", "rootCaCert", "sealedKey", "salt"]);
  const [certificate = "", rootCaCert = "", third = "", salt = ""] = plain ?? sealed ?? [];
  const identity = (privateKey: Uint8Array) => ({
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(privateKey),
    rootCaCert: Buffer.from(rootCaCert),
  });
  if (plain !== undefined) return { tls: identity(Buffer.from(third)), key: undefined };
  if (sealed === undefined) return undefined;
  for (const key of keys) {
    const cipher = new FileCipher(key, Buffer.from(salt, "base64"), PURPOSE);
    const opened = cipher.open(0, ASSOCIATED, Buffer.from(third, "base64"));
    if (opened !== undefined) return { tls: identity(opened), key };
  }
  return undefined;
}

export async function saveTls(dir: StateDir, keys: Keyring, tls: TlsIdentity): Promise<void> {
  const pem = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
  await keys.ensure();
  const key = keys.current;
  const salt = randomBytes(SALT_BYTES);
  const sealed = new FileCipher(key, salt, PURPOSE).seal(0, ASSOCIATED, tls.privateKey);
  const text = JSON.stringify(
    {
      certificate: pem(tls.certificate),
      rootCaCert: pem(tls.rootCaCert),
      salt: salt.toString("base64"),
      sealedKey: sealed.toString("base64"),
    },
    undefined,
    2,
  );
  await mkdir(join(dir.path, "tls"), { recursive: true, mode: 0o700 });
  await replaceFile(join(dir.path, "tls", TLS_FILE), Buffer.from(`${text}\n`));
  keys.holdForTls(key);
}

/**
 * A flipped bit in the number of its seat would let this manager vote in another's name. JSON has no checksum
 * of its own, so one of all the other fields, as they stand there, is among them.
 */
function withChecksum(text: string): string {
  const fields = jsonObject(text);
  return JSON.stringify({ ...fields, crc32c: checksumOf(fields) }, undefined, 2);
}

/** One without a checksum was written by a release that made none. */
function isAsWritten(text: string): boolean {
  const { crc32c: said, ...fields } = jsonObject(text) ?? {};
  return said === undefined || said === checksumOf(fields);
}

function checksumOf(fields: unknown): number {
  return crc32c(Buffer.from(JSON.stringify(fields)));
}

function parseIdentity(text: string): ManagerIdentity | undefined {
  const names = ["clusterId", "nodeId", "listenAddr", "advertiseAddr"];
  const strings = parseStrings(text, names);
  if (strings === undefined) return undefined;
  const { raftId, joinedBy = "", recoversAs } = jsonObject(text) ?? {};
  if (typeof joinedBy !== "string" || !isSeat(raftId)) return undefined;
  if (recoversAs !== undefined && !isSeat(recoversAs)) return undefined;
  const [clusterId = "", nodeId = "", listenAddr = "", advertiseAddr = ""] = strings;
  const identity = { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy };
  return recoversAs === undefined ? identity : { ...identity, recoversAs };
}

function isSeat(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

/** The values of the named fields if the text is a JSON object and each is a string. */
function parseStrings(text: string, names: readonly string[]): readonly string[] | undefined {
  const fields = jsonObject(text);
  if (fields === undefined) return undefined;
  const values = names.map((name) => fields[name]);
  return values.every((value) => typeof value === "string") ? values : undefined;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Fault("STATE_READ", { path }, error);
  }
}

function damaged(path: string): Fault {
  const why = "not what this release writes: restore it, or move the folder away and join again";
  return new Fault("IDENTITY_DAMAGED", { path, why });
}
