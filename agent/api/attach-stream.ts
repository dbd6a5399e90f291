// Between a container's stream and the client's connection: leaves out what was not asked for. (Detach
// keys are the client's: it closes its connection, and the container goes on.)
import { Duplex, Transform, type TransformCallback } from "node:stream";

// Docker's attach stream: | stream: 1 byte | 0 0 0 | length: 4 bytes, big endian | payload |
const HEADER_BYTES = 8;
const STDOUT = 1;
const STDERR = 2;

export interface Kept {
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** The same duplex when both are kept (or neither was named, which means both to old clients). */
export function keepStreams(duplex: Duplex, kept: Kept): Duplex {
  if (kept.stdout === kept.stderr) return duplex;
  const filter = new FrameFilter(kept.stdout ? STDERR : STDOUT);
  duplex.on("error", (error) => filter.destroy(error));
  duplex.pipe(filter);
  const joined = Duplex.from({ readable: filter, writable: duplex });
  joined.once("close", () => duplex.destroy());
  return joined;
}

/** Drops the frames of one stream; frames may be cut anywhere. */
class FrameFilter extends Transform {
  #header = Buffer.alloc(0);
  #left = 0;
  #drops = false;

  constructor(private readonly dropped: number) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left > 0) {
        const payload = rest.subarray(0, this.#left);
        this.#left -= payload.length;
        rest = rest.subarray(payload.length);
        if (!this.#drops) this.push(payload);
        continue;
      }
      const wanted = HEADER_BYTES - this.#header.length;
      this.#header = Buffer.concat([this.#header, rest.subarray(0, wanted)]);
      rest = rest.subarray(wanted);
      if (this.#header.length < HEADER_BYTES) break;
      this.#left = this.#header.readUInt32BE(4);
      this.#drops = this.#header[0] === this.dropped;
      if (!this.#drops) this.push(this.#header);
      this.#header = Buffer.alloc(0);
    }
    done();
  }
}
