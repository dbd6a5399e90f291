// Docker's framing of several streams on one connection (engine-api.yaml, ContainerAttach):
//
//   0        1   2   3   4   5   6   7   8
//   ┌────────┬───┬───┬───┬───┬───┬───┬───┬─ ─ ─ ─
//   │ stream │ 0 │ 0 │ 0 │ length, big e.│ payload
//   └────────┴───┴───┴───┴───┴───┴───┴───┴─ ─ ─ ─
//
// Streams 0 to 2 are Docker's. The connection between the agent and a container's supervisor uses the
// same frames with two more streams, for requests and notices in JSON.

export const STDIN = 0;
export const STDOUT = 1;
export const STDERR = 2;
export const NOTICE = 16;

const HEADER_BYTES = 8;
// Choice: no sender of ours makes a longer frame; who does is not one of ours.
export const PAYLOAD_BYTES_MAX = 1024 * 1024 * 4;

export interface Frame {
  readonly stream: number;
  readonly payload: Buffer;
}

export function encodeFrame(stream: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(stream * 0x1000000, 0);
  frame.writeUInt32BE(payload.length, 4);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Bytes in, whole frames out. A chunk is kept until its frames are complete; it must not be changed by its owner. */
export class FrameDecoder {
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  /** `undefined`: these are not frames; the connection is of no more use. */
  push(chunk: Buffer): Frame[] | undefined {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    const frames: Frame[] = [];
    for (;;) {
      if (this.#pendingBytes < HEADER_BYTES) return frames;
      const header = this.#peek(HEADER_BYTES);
      const length = header.readUInt32BE(4);
      if (header.readUIntBE(1, 3) !== 0 || length > PAYLOAD_BYTES_MAX) return undefined;
      if (this.#pendingBytes < HEADER_BYTES + length) return frames;
      const whole = this.#peek(HEADER_BYTES + length);
      frames.push({
        stream: header.readUInt8(0),
        payload: whole.subarray(HEADER_BYTES, HEADER_BYTES + length),
      });
      this.#drop(HEADER_BYTES + length);
    }
  }

  /** The first buffer holds at least `bytes` afterwards. */
  #peek(bytes: number): Buffer {
    const [first] = this.#pending;
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#pending);
    this.#pending = [joined];
    return joined;
  }

  #drop(bytes: number): void {
    const [first, ...rest] = this.#pending;
    const left = first?.subarray(bytes);
    this.#pending = left === undefined || left.length === 0 ? rest : [left, ...rest];
    this.#pendingBytes -= bytes;
  }
}
