// data-key.json, the one file that the unlock key seals: whoever opens it opens everything else. So a new
// unlock key is one file replaced whole, and at any moment the old key opens it, or the new one.
//
//   {"format": 2, "sealedBy": "none", "version": 0, "keys": ["<32 bytes, base64>", …]}
//   {"format": 2, "sealedBy": "unlock-key", "version": 12, "salt": "<base64>", "keys": "<base64>"}
//
// `keys` are the data keys, the one in use first; sealed, they are AES-256-GCM of the JSON list. `version` is
// the cluster's (Meta.version) whose unlock key this is, and is protected along with the keys. Format 1 had
// one key and no version: {"format": 1, "sealedBy": "none", "key": …}.
import { randomBytes } from "node:crypto";
import { jsonObject } from "../../common/json-object.js";
import { UNLOCK_KEY_BYTES } from "../../common/unlock-key.js";
import { FileCipher, SALT_BYTES } from "./cipher.js";

// AES-256.
export const DATA_KEY_BYTES = 32;
const FORMAT = 2;
const PURPOSE = "data keys 2";
// Choice: a key more with each rotation that no snapshot has followed; a file with more is none of ours.
const KEYS_MAX = 1_000;

export interface OpenKeys {
  readonly kind: "open";
  /** Empty: not sealed. */
  readonly unlockKey: Uint8Array;
  readonly version: number;
  /** The one in use first; never empty. */
  readonly keys: readonly Uint8Array[];
}

export interface SealedKeys {
  readonly kind: "sealed";
  readonly version: number;
  readonly salt: Uint8Array;
  readonly sealed: Uint8Array;
}

export function encodeKeyFile({ unlockKey, version, keys }: OpenKeys): Buffer {
  const texts = keys.map((key) => Buffer.from(key).toString("base64"));
  if (unlockKey.length === 0) return written({ sealedBy: "none", version, keys: texts });
  const salt = randomBytes(SALT_BYTES);
  const cipher = new FileCipher(unlockKey, salt, PURPOSE);
  const sealed = cipher.seal(0, associated(version), Buffer.from(JSON.stringify(texts)));
  return written({
    sealedBy: "unlock-key",
    version,
    salt: salt.toString("base64"),
    keys: sealed.toString("base64"),
  });
}

/** Undefined: not what any release has written. */
export function decodeKeyFile(text: string): OpenKeys | SealedKeys | undefined {
  const fields = jsonObject(text);
  if (fields === undefined) return undefined;
  const { format, sealedBy, version, keys, salt } = fields;
  if (format === 1 && sealedBy === "none") return opened([fields["key"]], NO_KEY, 0);
  if (format !== FORMAT || typeof version !== "number" || !isVersion(version)) return undefined;
  if (sealedBy === "none") return opened(keys, NO_KEY, version);
  if (sealedBy !== "unlock-key" || typeof keys !== "string" || typeof salt !== "string") {
    return undefined;
  }
  const saltBytes = Buffer.from(salt, "base64");
  const sealed = Buffer.from(keys, "base64");
  if (saltBytes.length !== SALT_BYTES) return undefined;
  return { kind: "sealed", version, salt: saltBytes, sealed };
}

/** Undefined: it is not the key. */
export function openKeys(file: SealedKeys, unlockKey: Uint8Array): OpenKeys | undefined {
  if (unlockKey.length !== UNLOCK_KEY_BYTES) return undefined;
  const cipher = new FileCipher(unlockKey, file.salt, PURPOSE);
  const plain = cipher.open(0, associated(file.version), file.sealed);
  if (plain === undefined) return undefined;
  try {
    return opened(JSON.parse(plain.toString("utf8")), unlockKey, file.version);
  } catch {
    return undefined;
  }
}

const NO_KEY = new Uint8Array();

function opened(keys: unknown, unlockKey: Uint8Array, version: number): OpenKeys | undefined {
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > KEYS_MAX) return undefined;
  const parsed = keys.map((key) => (typeof key === "string" ? Buffer.from(key, "base64") : NO_KEY));
  if (!parsed.every((key) => key.length === DATA_KEY_BYTES)) return undefined;
  return { kind: "open", unlockKey, version, keys: parsed };
}

function isVersion(version: number): boolean {
  return Number.isSafeInteger(version) && version >= 0;
}

function associated(version: number): Buffer {
  return Buffer.from(`format ${FORMAT}, unlock-key, version ${version}`);
}

function written(fields: object): Buffer {
  return Buffer.from(`${JSON.stringify({ format: FORMAT, ...fields })}\n`);
}
