// What goes over a Raft connection: TLS on port 2377 between two managers, who agree on this protocol by ALPN (RFC 7301).
// Not gRPC: a lone write waits for four of these messages one after the other, and HTTP/2 in Node sends at the end of
// a turn of the event loop, what is written here goes out at once. Integers are big-endian.
//
//    0        4
//   +--------+----------------------+
//   | length | `length` bytes       |
//   +--------+----------------------+
//
// Who dialled sends a RaftMessage in each frame. An empty one asks whether the other end is there, which answers with an
// empty one. The other end says nothing else but one RaftRefusal, after which it reads no more.

/** In ALPN; another layout is another number. */
export const RAFT_PROTOCOL = "skein-raft/1";
/** Choice: well above the largest message, which has 2 MiB of entries, and their numbers. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** Choice: of a connection that says nothing for this long the kernel asks whether there is anybody. */
export const KEEPALIVE_MS = 3_000;
const HEADER_BYTES = 4;

export const EMPTY_FRAME = Buffer.alloc(HEADER_BYTES);

export function encodeFrame(content: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + content.length);
  frame.writeUInt32BE(content.length);
  frame.set(content, HEADER_BYTES);
  return frame;
}

/** Puts frames together from what a connection brings. Holds at most one frame and one chunk. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #heldBytes = 0;
  /** Below this nothing is complete. */
  #wantedBytes = HEADER_BYTES;

  /**
   * Hands out the content of each frame that `chunk` completes; it shares memory with the chunks. False: a frame is longer
   * than any may be, and where the next begins is not known.
   */
  read(chunk: Buffer, take: (content: Buffer) => void): boolean {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wantedBytes) return true;
    const [first = chunk] = this.#chunks;
    const bytes = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    let offset = 0;
    this.#wantedBytes = HEADER_BYTES;
    while (bytes.length - offset >= HEADER_BYTES) {
      const length = bytes.readUInt32BE(offset);
      if (length > FRAME_BYTES_MAX) return false;
      const end = offset + HEADER_BYTES + length;
      if (end > bytes.length) {
        this.#wantedBytes = HEADER_BYTES + length;
        break;
      }
      take(bytes.subarray(offset + HEADER_BYTES, end));
      offset = end;
    }
    this.#chunks = offset < bytes.length ? [bytes.subarray(offset)] : [];
    this.#heldBytes = bytes.length - offset;
    return true;
  }
}
