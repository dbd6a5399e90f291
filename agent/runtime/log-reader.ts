// Reads a container's log files, oldest first, and follows them while they grow and rotate.
import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { Signal } from "../../common/watch.js";
import type { LogOptions } from "../seams.js";
import { encodeFrame, STDERR, STDOUT } from "../task/stdio-frame.js";
import { decodeLogLine, type LogLine, logAge, logPath } from "./log-format.js";

const LINE_FEED = 0x0a;
const READ_BYTES = 256 * 1024;
// Choice: inotify tells of growth; this catches what it does not, such as a watch that ran over.
const LOOK_AGAIN_MS = 1_000;

export interface ReadLogs extends LogOptions {
  readonly tty: boolean;
  /** Aborted when nothing more will be written. */
  readonly ended: AbortSignal;
}

/** Chunks as the API sends them: text with a tty, else frames. */
export async function* readLogs(
  folder: string,
  options: ReadLogs,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const skip = options.tail === undefined ? 0 : await linesBeforeTail(folder, options);
  let seen = 0;
  for await (const line of follow(folder, options, signal)) {
    const timeMs = Date.parse(line.time);
    if (options.untilMs > 0 && timeMs > options.untilMs) return;
    if (!isWanted(line, options) || timeMs < options.sinceMs || seen++ < skip) continue;
    const payload = Buffer.from(options.timestamps ? `${line.time} ${line.log}` : line.log);
    const stream = line.stream === "stdout" ? STDOUT : STDERR;
    yield options.tty ? payload : encodeFrame(stream, payload);
  }
}

function isWanted(line: LogLine, options: LogOptions): boolean {
  return line.stream === "stdout" ? options.stdout : options.stderr;
}

/** Counting first keeps nothing in memory however long the tail is. */
async function linesBeforeTail(folder: string, options: ReadLogs): Promise<number> {
  let count = 0;
  const unaborted = new AbortController().signal;
  for await (const line of follow(folder, { ...options, follow: false }, unaborted)) {
    if (isWanted(line, options) && Date.parse(line.time) >= options.sinceMs) count++;
  }
  return Math.max(0, count - (options.tail ?? 0));
}

async function* follow(
  folder: string,
  options: ReadLogs,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const changed = new Signal();
  const stopWaiting = options.follow ? notifyOnChange(folder, changed, options.ended) : () => {};
  let file = await oldest(folder);
  try {
    while (!signal.aborted) {
      // In this order: what was written before the end is read after the end was seen.
      const isOver = !options.follow || options.ended.aborted;
      if (file === undefined) file = await openAt(folder, 0);
      if (file !== undefined) {
        yield* file.lines();
        const next: LogFile | undefined = await file.successor();
        if (next !== undefined) {
          // Once a newer file is there the older one is complete; it may have grown since it was read.
          yield* file.lines();
          await file.close();
          file = next;
          continue;
        }
      }
      if (isOver) return;
      await changed.wait(signal).catch(() => undefined);
    }
  } finally {
    stopWaiting();
    await file?.close();
  }
}

function notifyOnChange(folder: string, changed: Signal, ended: AbortSignal): () => void {
  const notify = () => changed.notify();
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(folder, notify).on("error", notify);
  } catch {
    // The machine has no inotify watch left; the timer below does it alone.
  }
  const timer = setInterval(notify, LOOK_AGAIN_MS);
  ended.addEventListener("abort", notify);
  return () => {
    watcher?.close();
    clearInterval(timer);
    ended.removeEventListener("abort", notify);
  };
}

/** One open log file; rotation renames it, and the descriptor goes with it. */
class LogFile {
  #at = 0;
  #begun = Buffer.alloc(0);

  constructor(
    private readonly folder: string,
    private readonly handle: FileHandle,
    private readonly inode: number,
  ) {}

  async *lines(): AsyncGenerator<LogLine> {
    for (;;) {
      const { bytesRead, buffer } = await this.handle.read(
        Buffer.allocUnsafe(READ_BYTES),
        0,
        READ_BYTES,
        this.#at,
      );
      if (bytesRead === 0) return;
      this.#at += bytesRead;
      let data = Buffer.concat([this.#begun, buffer.subarray(0, bytesRead)]);
      for (let feed = data.indexOf(LINE_FEED); feed >= 0; feed = data.indexOf(LINE_FEED)) {
        const line = decodeLogLine(data.toString("utf8", 0, feed));
        data = data.subarray(feed + 1);
        if (line !== undefined) yield line;
      }
      this.#begun = Buffer.from(data);
    }
  }

  /** The file that was begun after this one; undefined while this is the newest. */
  async successor(): Promise<LogFile | undefined> {
    const files = await filesIn(this.folder);
    for (let age = 0; age < files; age++) {
      const inode = await inodeOf(logPath(this.folder, age));
      if (inode === this.inode) return age === 0 ? undefined : openAt(this.folder, age - 1);
    }
    // It was rotated out of existence while it was read slowly: go on with the oldest there is.
    return oldest(this.folder);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

async function oldest(folder: string): Promise<LogFile | undefined> {
  for (let age = (await filesIn(folder)) - 1; age >= 0; age--) {
    const file = await openAt(folder, age);
    if (file !== undefined) return file;
  }
  return undefined;
}

/** How many there are: one more than the oldest one's age. */
async function filesIn(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  return 1 + names.reduce((oldest, name) => Math.max(oldest, logAge(name) ?? 0), 0);
}

async function openAt(folder: string, age: number): Promise<LogFile | undefined> {
  try {
    const handle = await open(logPath(folder, age), "r");
    return new LogFile(folder, handle, (await handle.stat()).ino);
  } catch {
    return undefined;
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch {
    return undefined;
  }
}
