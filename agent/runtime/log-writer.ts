// Writes a container's output to its log files. Writing is synchronous on purpose: while the disk is
// busy nothing more is read from the command, so memory is bounded and no line is lost.
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import {
  encodeLogLine,
  formatTime,
  LOG_FILE_BYTES_MAX,
  LOG_FILES,
  LOG_LINE_BYTES_MAX,
  logPath,
} from "./log-format.js";

type Stream = "stdout" | "stderr";
const LINE_FEED = 0x0a;

export class LogWriter {
  #fd: number;
  #bytes: number;
  readonly #begun: Record<Stream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  /** Lines that the disk did not take. */
  lost = 0;

  constructor(
    private readonly folder: string,
    private readonly fileBytesMax = LOG_FILE_BYTES_MAX,
    private readonly files = LOG_FILES,
  ) {
    this.#fd = openSync(logPath(folder, 0), "a", 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  write(stream: Stream, chunk: Buffer, unixMs: number): void {
    const time = formatTime(unixMs);
    let data = Buffer.concat([this.#begun[stream], chunk]);
    let lines = "";
    for (;;) {
      const end = endOfLine(data);
      if (end === undefined) break;
      lines += encodeLogLine({ log: data.toString("utf8", 0, end), stream, time });
      data = data.subarray(end);
    }
    // A copy, so that a few bytes do not hold on to the whole chunk.
    this.#begun[stream] = Buffer.from(data);
    this.#append(lines);
  }

  /** What was begun and never ended with a line feed is written as it is. */
  close(unixMs: number): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const rest = this.#begun[stream];
      if (rest.length === 0) continue;
      this.#append(encodeLogLine({ log: rest.toString(), stream, time: formatTime(unixMs) }));
    }
    closeSync(this.#fd);
  }

  #append(lines: string): void {
    if (lines === "") return;
    try {
      const data = Buffer.from(lines);
      if (this.#bytes > 0 && this.#bytes + data.length > this.fileBytesMax) this.#rotate();
      for (let at = 0; at < data.length; ) at += writeSync(this.#fd, data, at);
      this.#bytes += data.length;
    } catch {
      // The command's work is worth more than its log: on a full disk lines are dropped and counted.
      this.lost++;
    }
  }

  #rotate(): void {
    rmSync(logPath(this.folder, this.files - 1), { force: true });
    for (let age = this.files - 2; age >= 0; age--) {
      try {
        renameSync(logPath(this.folder, age), logPath(this.folder, age + 1));
      } catch {
        // There is no file of that age yet.
      }
    }
    const next = openSync(logPath(this.folder, 0), "a", 0o600);
    closeSync(this.#fd);
    this.#fd = next;
    this.#bytes = 0;
  }
}

/** Where the first line of `data`, or the longest allowed part of it, ends; undefined: not here yet. */
function endOfLine(data: Buffer): number | undefined {
  const feed = data.indexOf(LINE_FEED);
  if (feed >= 0 && feed < LOG_LINE_BYTES_MAX) return feed + 1;
  if (data.length < LOG_LINE_BYTES_MAX) return undefined;
  // A part ends between characters: bytes 10xxxxxx continue one (RFC 3629 section 3).
  let end = LOG_LINE_BYTES_MAX;
  while (end > LOG_LINE_BYTES_MAX - 4 && ((data[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}
