// Builds a run of netlink messages in one growing buffer, so that thousands of them cost one send and
// no garbage. Lengths are filled in when a message or a nest ends.
//
//   0               4       6       8               12              16
//   +---------------+-------+-------+---------------+---------------+----------
//   | length        | type  | flags | sequence      | port id       | payload…     struct nlmsghdr
//   +---------------+-------+-------+---------------+---------------+----------
import { assert } from "../../common/fault.js";
import { align } from "./attribute.js";
import { NLA_F_NESTED, NLM_F_ACK, NLM_F_REQUEST } from "./constants.js";

export const NLMSG_HEADER_BYTES = 16;
// Choice: most batches fit without growing.
const START_BYTES = 4096;

export class NetlinkWriter {
  #bytes = Buffer.alloc(START_BYTES);
  #length = 0;
  /** Where each message begins. */
  readonly #starts: number[] = [];

  get count(): number {
    return this.#starts.length;
  }

  /** One request. Its sequence number is its index; the socket moves all of them up when it sends. */
  message(type: number, flags: number, payload: () => void): void {
    const start = this.#length;
    const header = this.#room(NLMSG_HEADER_BYTES);
    this.#bytes.writeUInt16LE(type, header + 4);
    this.#bytes.writeUInt16LE(flags | NLM_F_REQUEST, header + 6);
    this.#bytes.writeUInt32LE(this.#starts.length, header + 8);
    this.#bytes.writeUInt32LE(0, header + 12);
    this.#starts.push(start);
    payload();
    this.#bytes.writeUInt32LE(this.#length - start, start);
    this.#room(align(this.#length) - this.#length);
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#bytes.writeUInt8(value, at);
  }
  u16(value: number): void {
    const at = this.#room(2);
    this.#bytes.writeUInt16LE(value, at);
  }
  u32(value: number): void {
    const at = this.#room(4);
    this.#bytes.writeUInt32LE(value >>> 0, at);
  }

  attribute(type: number, value: Uint8Array): void {
    const at = this.#attributeHeader(type, value.length);
    this.#bytes.set(value, at);
  }
  attributeU8(type: number, value: number): void {
    const at = this.#attributeHeader(type, 1);
    this.#bytes.writeUInt8(value, at);
  }
  attributeU16be(type: number, value: number): void {
    const at = this.#attributeHeader(type, 2);
    this.#bytes.writeUInt16BE(value, at);
  }
  attributeU32(type: number, value: number): void {
    const at = this.#attributeHeader(type, 4);
    this.#bytes.writeUInt32LE(value >>> 0, at);
  }
  /** Network byte order, as netfilter's. */
  attributeU32be(type: number, value: number): void {
    const at = this.#attributeHeader(type, 4);
    this.#bytes.writeUInt32BE(value >>> 0, at);
  }
  attributeU64(type: number, value: bigint): void {
    const at = this.#attributeHeader(type, 8);
    this.#bytes.writeBigUInt64LE(value, at);
  }
  attributeU64be(type: number, value: bigint): void {
    const at = this.#attributeHeader(type, 8);
    this.#bytes.writeBigUInt64BE(value, at);
  }
  /** A nest whose inside is there already. */
  nested(type: number, inside: Uint8Array): void {
    this.attribute(type | NLA_F_NESTED, inside);
  }
  /** NUL-terminated, as rtnetlink's string policies take it. */
  attributeText(type: number, value: string): void {
    this.attribute(type, Buffer.from(`${value}\0`, "utf8"));
  }
  nest(type: number, inside: () => void): void {
    const start = this.#room(4);
    this.#bytes.writeUInt16LE(type | NLA_F_NESTED, start + 2);
    inside();
    this.#bytes.writeUInt16LE(this.#length - start, start);
  }

  /**
   * The messages from the `from`th to before the `to`th, numbered from `sequence` on, the last asking
   * for an acknowledgement. The bytes are the writer's own: they are good until it writes again.
   */
  slice(from: number, to: number, sequence: number): Buffer {
    assert(from < to && to <= this.count, "a slice holds a message");
    for (let i = from; i < to; i++) {
      const start = this.#starts[i] ?? 0;
      this.#bytes.writeUInt32LE((sequence + i - from) >>> 0, start + 8);
    }
    const last = this.#starts[to - 1] ?? 0;
    this.#bytes.writeUInt16LE(this.#bytes.readUInt16LE(last + 6) | NLM_F_ACK, last + 6);
    return this.#bytes.subarray(this.#starts[from], this.#starts[to] ?? this.#length);
  }

  #attributeHeader(type: number, length: number): number {
    const at = this.#room(align(4 + length));
    this.#bytes.writeUInt16LE(4 + length, at);
    this.#bytes.writeUInt16LE(type, at + 2);
    return at + 4;
  }

  /** `length` zeroed bytes at the end. Growing replaces `#bytes`: ask for room first, then write. */
  #room(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(this.#bytes.length * 2, this.#length));
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    return at;
  }
}
