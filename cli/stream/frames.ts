// The stream of a container without a terminal, as Docker frames it (engine-api.yaml,
// ContainerAttach, "Stream format"):
//
//    0        1   2   3   4   5   6   7   8 …
//   +--------+-----------+---------------+---------+
//   | stream |  0  0  0  | length, BE 32 | payload |
//   +--------+-----------+---------------+---------+
//
// stream: 0 stdin, 1 stdout, 2 stderr, 3 an error of the daemon's own.

const HEADER_BYTES = 8;

export type StreamName = "stdout" | "stderr" | "daemon";

export interface Frame {
  readonly stream: StreamName;
  readonly payload: Uint8Array;
}

/** Cuts chunks, however they fall, into frames. A frame's payload may come in several pieces. */
export class FrameReader {
  private header = Buffer.alloc(0);
  private left = 0;
  private stream: StreamName = "stdout";

  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      if (this.left === 0) {
        const missing = HEADER_BYTES - this.header.length;
        this.header = Buffer.concat([this.header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (this.header.length < HEADER_BYTES) break;
        this.stream = nameOf(this.header[0] ?? 0);
        this.left = this.header.readUInt32BE(4);
        this.header = Buffer.alloc(0);
        continue;
      }
      const payload = rest.subarray(0, this.left);
      frames.push({ stream: this.stream, payload });
      this.left -= payload.length;
      rest = rest.subarray(payload.length);
    }
    return frames;
  }
}

function nameOf(byte: number): StreamName {
  if (byte === 2) return "stderr";
  return byte === 3 ? "daemon" : "stdout";
}
