// The assignments on disk:
//
//   0      4        8        12
//   | SKJ1 | length | CRC-32 | Assignments (proto/dispatcher.proto) |
//
// Both numbers are big-endian; the CRC (zlib's) is of the message's bytes.
import { crc32 } from "node:zlib";
import { readIfThere, removeDurably, replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import type { Journal } from "../seams.js";

const MAGIC = Buffer.from("SKJ1");
const HEADER_BYTES = 12;

export function journalAt(path: string): Journal {
  return {
    async load() {
      const data = await readIfThere(path);
      if (data === undefined) return undefined;
      const decoded = decodeJournal(data);
      if (typeof decoded === "string") {
        throw new Fault("JOURNAL_DAMAGED", { file: path }, new Error(decoded));
      }
      return decoded;
    },
    save: (assignments) => replaceFile(path, encodeJournal(assignments)),
    clear: () => removeDurably(path),
  };
}

export function encodeJournal(assignments: Assignments): Uint8Array {
  const body = Assignments.encode(assignments).finish();
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(body.length, 4);
  header.writeUInt32BE(crc32(body), 8);
  return Buffer.concat([header, body]);
}

/** The assignments, or what is wrong with the bytes. */
export function decodeJournal(data: Uint8Array): Assignments | string {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length < HEADER_BYTES) return "shorter than its header";
  if (!bytes.subarray(0, 4).equals(MAGIC)) return "not a journal of this version";
  const body = bytes.subarray(HEADER_BYTES);
  if (bytes.readUInt32BE(4) !== body.length) return "its length is wrong";
  if (bytes.readUInt32BE(8) !== crc32(body)) return "its checksum is wrong";
  try {
    return Assignments.decode(body);
  } catch {
    return "its message cannot be read";
  }
}
