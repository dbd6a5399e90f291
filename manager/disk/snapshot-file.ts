// Snapshot files: <index>-<term>.snap, each whole or not there (written aside, synced, renamed).
//
//    0        8        12             44       48
//   +--------+--------+--------------+--------+-----------------------------+
//   |SKEINSNP| format |  salt (32)   | crc32c | AES-256-GCM(RaftSnapshot)   |
//   +--------+--------+--------------+--------+-----------------------------+
//                                     of what follows
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { crc32c } from "../../common/crc32c.js";
import { replaceFile, syncFolder } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { RaftSnapshot } from "../../proto/gen/raft.js";
import { FileCipher, SALT_BYTES } from "./cipher.js";
import type { Keyring } from "./keyring.js";

const MAGIC = Buffer.from("SKEINSNP");
const FORMAT = 1;
const SALT_OFFSET = 12;
const HEADER_BYTES = SALT_OFFSET + SALT_BYTES + 4;
const PURPOSE = "snapshot 1";
const NAME = /^(\d{16})-(\d{16})\.snap$/;

/** Choice: some 5 ms, for which all else waits. */
const CHECKED_AT_ONCE_BYTES = 4 * 1024 * 1024;

async function encodeSnapshotFile(dataKey: Uint8Array, snapshot: RaftSnapshot): Promise<Buffer> {
  const head = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(head);
  head.writeUInt32BE(FORMAT, 8);
  head.set(randomBytes(SALT_BYTES), SALT_OFFSET);
  const salt = head.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES);
  const cipher = new FileCipher(dataKey, salt, PURPOSE);
  const plain = RaftSnapshot.encode(snapshot).finish();
  const sealed = await cipher.sealAside(0, head.subarray(0, 12), plain);
  let checksum = 0;
  for (let at = 0; at < sealed.length; at += CHECKED_AT_ONCE_BYTES) {
    checksum = crc32c(sealed.subarray(at, at + CHECKED_AT_ONCE_BYTES), checksum);
    await setImmediate();
  }
  head.writeUInt32BE(checksum, HEADER_BYTES - 4);
  return Buffer.concat([head, sealed]);
}

export function decodeSnapshotFile(dataKey: Uint8Array, bytes: Buffer): RaftSnapshot | undefined {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return undefined;
  if (bytes.readUInt32BE(8) !== FORMAT) return undefined;
  const sealed = bytes.subarray(HEADER_BYTES);
  if (crc32c(sealed) !== bytes.readUInt32BE(HEADER_BYTES - 4)) return undefined;
  const salt = bytes.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES);
  const plain = new FileCipher(dataKey, salt, PURPOSE).open(0, bytes.subarray(0, 12), sealed);
  if (plain === undefined) return undefined;
  try {
    return RaftSnapshot.decode(plain);
  } catch {
    return undefined;
  }
}

export class SnapshotFiles {
  #key: Uint8Array | undefined;

  constructor(
    readonly dir: string,
    private readonly ring: Pick<Keyring, "all" | "current">,
  ) {}

  /** What the newest is encrypted with. */
  get keys(): readonly Uint8Array[] {
    return this.#key === undefined ? [] : [this.#key];
  }

  /** The newest, or undefined. Fault LOG_DAMAGED: the log that led up to it is gone, so no older one will do. */
  async loadNewest(): Promise<RaftSnapshot | undefined> {
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const newest = (await this.#names()).at(-1);
    if (newest === undefined) return undefined;
    const path = join(this.dir, newest);
    const found = this.#decoded(await readFile(path));
    if (found === undefined) {
      throw new Fault("LOG_DAMAGED", {
        file: path,
        offset: 0,
        why: "the snapshot does not verify",
      });
    }
    this.#key = found.key;
    return found.snapshot;
  }

  /** The newest that verifies, whatever became of newer ones, and the name of the first that did not. */
  async loadSound(): Promise<{
    readonly snapshot: RaftSnapshot | undefined;
    readonly damaged: string | undefined;
  }> {
    let damaged: string | undefined;
    for (const name of [...(await this.#names())].reverse()) {
      const path = join(this.dir, name);
      const found = this.#decoded(await readFile(path));
      if (found !== undefined) return { snapshot: found.snapshot, damaged };
      damaged ??= path;
    }
    return { snapshot: undefined, damaged };
  }

  /** Durable when resolved; older ones stay until `removeBefore`. */
  async save(snapshot: RaftSnapshot): Promise<void> {
    const name = nameOf(snapshot);
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const key = this.ring.current;
    await replaceFile(join(this.dir, name), await encodeSnapshotFile(key, snapshot));
    this.#key = key;
  }

  async removeBefore(snapshot: RaftSnapshot): Promise<void> {
    const keep = nameOf(snapshot);
    const old = (await this.#names()).filter((name) => name < keep);
    for (const name of old) await rm(join(this.dir, name), { force: true });
    if (old.length > 0) await syncFolder(this.dir);
  }

  /** A file does not say which key it is encrypted with. */
  #decoded(bytes: Buffer): { key: Uint8Array; snapshot: RaftSnapshot } | undefined {
    for (const key of this.ring.all) {
      const snapshot = decodeSnapshotFile(key, bytes);
      if (snapshot?.meta !== undefined) return { key, snapshot };
    }
    return undefined;
  }

  async #names(): Promise<readonly string[]> {
    return (await readdir(this.dir)).filter((name) => NAME.test(name)).sort();
  }
}

function nameOf({ meta }: RaftSnapshot): string {
  const part = (n: number) => String(n).padStart(16, "0");
  return `${part(meta?.index ?? 0)}-${part(meta?.term ?? 0)}.snap`;
}
