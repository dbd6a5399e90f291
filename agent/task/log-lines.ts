// A container's log with times, as Containers.logs gives it, cut into lines again.
import { FrameDecoder, STDERR } from "./stdio-frame.js";

export interface LogPiece {
  /** Unix nanoseconds as decimal text. */
  readonly timeNs: string;
  readonly stream: "stdout" | "stderr";
  readonly data: Buffer;
}

const LINE_FEED = 0x0a;
const SPACE = 0x20;
// RFC 3339 with nine digits of a second and a "Z", as Docker writes times of a log.
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;
const TIME_BYTES_MAX = 40;
// Choice: a line of a terminal that goes on longer is cut here.
const LINE_BYTES_MAX = 1024 * 1024;

export class LogLines {
  readonly #frames = new FrameDecoder();
  #begun: Buffer = Buffer.alloc(0);
  #lastNs = "0";

  constructor(private readonly tty: boolean) {}

  /** Undefined: these are no frames, and no more is to be read. */
  push(chunk: Buffer): readonly LogPiece[] | undefined {
    if (this.tty) return this.#lines(chunk);
    const frames = this.#frames.push(chunk);
    return frames?.map(({ stream, payload }) =>
      this.#piece(stream === STDERR ? "stderr" : "stdout", payload),
    );
  }

  /** What is left when there is no more. */
  end(): readonly LogPiece[] {
    const rest = this.#begun;
    this.#begun = Buffer.alloc(0);
    return rest.length === 0 ? [] : [this.#piece("stdout", rest)];
  }

  /** With a terminal all is one stream. */
  #lines(chunk: Buffer): readonly LogPiece[] {
    const pieces: LogPiece[] = [];
    let data = this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk]);
    for (;;) {
      const feed = data.indexOf(LINE_FEED);
      const length = feed < 0 && data.length > LINE_BYTES_MAX ? LINE_BYTES_MAX : feed + 1;
      if (length === 0) break;
      pieces.push(this.#piece("stdout", data.subarray(0, length)));
      data = data.subarray(length);
    }
    this.#begun = Buffer.from(data);
    return pieces;
  }

  #piece(stream: LogPiece["stream"], line: Buffer): LogPiece {
    const space = line.subarray(0, TIME_BYTES_MAX).indexOf(SPACE);
    const match = space < 0 ? null : TIME.exec(line.toString("latin1", 0, space));
    // A part of a longer line has the time of its beginning.
    if (match === null) return { timeNs: this.#lastNs, stream, data: line };
    const seconds = BigInt(Date.parse(`${match[1]}Z`)) * 1_000_000n;
    this.#lastNs = String(seconds + BigInt((match[2] ?? "").padEnd(9, "0")));
    return { timeNs: this.#lastNs, stream, data: line.subarray(space + 1) };
  }
}
