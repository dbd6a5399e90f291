// A backup of a swarm: all that its managers know, the certificate authority's key too, so it is encrypted with a
// key that is in no other place than where a person keeps it.
//
//    0        8        12          44            60        68             100
//   +--------+--------+-----------+-------------+---------+--------------+-----------------------------+
//   |SKEINBAK| format | salt (32) | check (16)  | length  | SHA-256 (32) | AES-256-GCM(SwarmBackup)    |
//   +--------+--------+-----------+-------------+---------+--------------+-----------------------------+
//                                  of the key    of what    of bytes 0-67
//                                                is sealed  and the sealed
//
// The checksum says without the key whether the file is as it was written; the check, whether a key is the one. Both
// keys, of the check and of the content, come from the person's by HKDF (RFC 5869) with the salt, which is another
// for each file.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  timingSafeEqual,
} from "node:crypto";
import { StoreSnapshot, SwarmBackup } from "../proto/gen/store.js";
import { type Refusal, refuse } from "./fault.js";

const MAGIC = Buffer.from("SKEINBAK");
const FORMAT = 1;
const KEY_BYTES = 32;
const SALT_BYTES = 32;
const CHECK_OFFSET = 44;
const LENGTH_OFFSET = 60;
const CHECKSUM_OFFSET = 68;
const HEADER_BYTES = 100;
/** NIST SP 800-38D section 5.2.1.2: the full tag. */
const TAG_BYTES = 16;
// One content a key, so the nonce may be anything.
const NONCE = Buffer.alloc(12);
// As Docker's SWMKEY-1-: what it is, and of which kind.
const KEY_PREFIX = "SKBKEY-1-";
// The prefix of SHA-256 that shows a key that was typed wrong.
const TYPO_BYTES = 3;

/** `random` gives bytes that nobody can guess. */
export function newBackupKey(random: (bytes: number) => Uint8Array): string {
  const key = Buffer.from(random(KEY_BYTES));
  return KEY_PREFIX + Buffer.concat([key, typoSum(key)]).toString("base64url");
}

function parseBackupKey(text: string): Buffer | undefined {
  const trimmed = text.trim();
  if (!trimmed.startsWith(KEY_PREFIX)) return undefined;
  const bytes = Buffer.from(trimmed.slice(KEY_PREFIX.length), "base64url");
  const key = bytes.subarray(0, KEY_BYTES);
  return bytes.subarray(KEY_BYTES).equals(typoSum(key)) ? key : undefined;
}

function typoSum(key: Uint8Array): Buffer {
  return createHash("sha256")
    .update("skein backup key")
    .update(key)
    .digest()
    .subarray(0, TYPO_BYTES);
}

/** `salt`: 32 bytes by chance, new for each file. */
export function encodeBackup(keyText: string, salt: Uint8Array, backup: SwarmBackup): Buffer {
  const key = parseBackupKey(keyText);
  if (key === undefined || salt.length !== SALT_BYTES) throw new Error("not a backup key and salt");
  const head = Buffer.alloc(HEADER_BYTES);
  const plain = SwarmBackup.encode(backup).finish();
  MAGIC.copy(head);
  head.writeUInt32BE(FORMAT, MAGIC.length);
  head.set(salt, MAGIC.length + 4);
  head.set(derived(key, salt, "check", LENGTH_OFFSET - CHECK_OFFSET), CHECK_OFFSET);
  head.writeBigUInt64BE(BigInt(plain.length + TAG_BYTES), LENGTH_OFFSET);
  const cipher = createCipheriv("aes-256-gcm", derived(key, salt, "content", KEY_BYTES), NONCE);
  cipher.setAAD(head.subarray(0, CHECKSUM_OFFSET));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  head.set(checksum(head, sealed), CHECKSUM_OFFSET);
  return Buffer.concat([head, sealed]);
}

/** The content, whole and decoded; a Refusal with a sentence about the file or the key. */
export function decodeBackup(keyText: string, file: Buffer): SwarmBackup | Refusal {
  const no = (why: string) => refuse("invalid-argument", why);
  if (!file.subarray(0, MAGIC.length).equals(MAGIC)) return no("it is no backup of a swarm");
  if (file.length < HEADER_BYTES) return no(`it is cut off after ${file.length} bytes`);
  const format = file.readUInt32BE(MAGIC.length);
  if (format !== FORMAT)
    return no(`it is of format ${format}, this release reads format ${FORMAT}`);
  const sealed = file.subarray(HEADER_BYTES);
  const length = file.readBigUInt64BE(LENGTH_OFFSET);
  if (BigInt(sealed.length) < length) {
    return no(`it is cut off: ${file.length} of ${BigInt(HEADER_BYTES) + length} bytes are there`);
  }
  if (!checksum(file, sealed).equals(file.subarray(CHECKSUM_OFFSET, HEADER_BYTES))) {
    return no("it was changed or damaged since it was written: its checksum does not hold");
  }
  const key = parseBackupKey(keyText);
  if (key === undefined) {
    return no(
      `that is no backup key: one begins with ${KEY_PREFIX}, and no character of it is wrong`,
    );
  }
  const salt = file.subarray(MAGIC.length + 4, CHECK_OFFSET);
  const check = derived(key, salt, "check", LENGTH_OFFSET - CHECK_OFFSET);
  if (!timingSafeEqual(check, file.subarray(CHECK_OFFSET, LENGTH_OFFSET))) {
    return no("the key is that of another backup");
  }
  const plain = opened(derived(key, salt, "content", KEY_BYTES), file, sealed);
  if (plain === undefined)
    return no("it was changed by somebody: it does not open with its own key");
  return decoded(plain) ?? no("what is in it cannot be read by this release");
}

function opened(key: Uint8Array, file: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key, NONCE);
  decipher.setAAD(file.subarray(0, CHECKSUM_OFFSET));
  decipher.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** A store with a swarm in it, and the one that the backup says. */
function decoded(plain: Buffer): SwarmBackup | undefined {
  try {
    const backup = SwarmBackup.decode(plain);
    const objects = backup.store?.objects ?? [];
    const ids = objects.flatMap(({ object }) =>
      object?.$case === "cluster" ? [object.value.id] : [],
    );
    return ids.length === 1 && ids[0] === backup.clusterId ? backup : undefined;
  } catch {
    return undefined;
  }
}

/** What a person wants to know of a backup. */
export function countsOf({
  store,
}: SwarmBackup): Readonly<Record<"nodes" | "networks" | "services", number>> {
  const count = (kind: string) =>
    (store ?? StoreSnapshot.create()).objects.filter(({ object }) => object?.$case === kind).length;
  return { nodes: count("node"), networks: count("network"), services: count("service") };
}

function checksum(head: Buffer, sealed: Buffer): Buffer {
  return createHash("sha256").update(head.subarray(0, CHECKSUM_OFFSET)).update(sealed).digest();
}

function derived(key: Uint8Array, salt: Uint8Array, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", key, salt, `skein backup 1 ${purpose}`, bytes));
}
