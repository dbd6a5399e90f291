// The durable log: see LogDisk in seams.ts. Segments <dir>/log/<number>.log hold frames; the newest file
// in <dir>/snapshots holds what came before them. Each start begins a new segment.
import { mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isFull, syncFolder } from "../../common/durable-files.js";
import { assert, Fault } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Entry, HardState, LogFrame, RaftSnapshot } from "../../proto/gen/raft.js";
import type { LogDisk, StoredLog } from "../seams.js";
import type { Keyring } from "./keyring.js";
import { Replay } from "./replay.js";
import { decodeSegment, type SegmentContent } from "./segment-format.js";
import { SegmentWriter, type WriteAt, writeAll, writeAllAtOnce } from "./segment-writer.js";
import { SnapshotFiles } from "./snapshot-file.js";
import type { StateDir } from "./state-dir.js";

/** Choice: a few seconds of the heaviest writing; small enough that compaction frees space soon. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
const SEGMENT_NAME = /^(\d{16})\.log$/;

export interface LogDiskOptions {
  readonly dir: StateDir;
  readonly keys: Keyring;
  readonly log: Logger;
  /** A segment that has grown past this is closed and the next one begun. */
  readonly segmentBytes?: number;
  /** For tests of a disk that fails. */
  readonly writeAt?: WriteAt;
}

/** Opens the log of a state folder, empty if there is none. Nothing is read before `load`. */
export async function openLogDisk(options: LogDiskOptions): Promise<LogDisk> {
  const dir = join(options.dir.path, "log");
  const snapshots = join(options.dir.path, "snapshots");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await mkdir(snapshots, { recursive: true, mode: 0o700 });
  await options.keys.ensure();
  return new SegmentedLog(dir, new SnapshotFiles(snapshots, options.keys), options);
}

interface Segment {
  readonly number: number;
  /** What it is encrypted with. */
  readonly key: Uint8Array;
  /** The highest entry index in it. */
  lastIndex: number;
}

class SegmentedLog implements LogDisk {
  readonly #segments: Segment[] = [];
  readonly #segmentBytes: number;
  readonly #writeAt: WriteAt;
  readonly #writeAtOnce: WriteAt;
  #writer: SegmentWriter | undefined;
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  /** Set when a write failed in a way that leaves the file in doubt: fsync errors are not to be retried. */
  #broken: Fault | undefined;

  constructor(
    private readonly dir: string,
    private readonly snapshots: SnapshotFiles,
    private readonly options: LogDiskOptions,
  ) {
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#writeAt = options.writeAt ?? writeAll;
    this.#writeAtOnce = options.writeAt ?? writeAllAtOnce;
  }

  async load(): Promise<StoredLog> {
    const replay = new Replay();
    const numbers = await this.#numbers();
    let tornBytes = 0;
    for (const number of numbers) {
      tornBytes += await this.#loadSegment(number, number === numbers.at(-1), replay);
    }
    const snapshot = await this.snapshots.loadNewest();
    const index = snapshot?.meta?.index ?? 0;
    if (index < replay.snapshotIndex) {
      const why = `the snapshot at ${replay.snapshotIndex} is missing`;
      throw new Fault("LOG_DAMAGED", { file: this.snapshots.dir, offset: 0, why });
    }
    if (snapshot?.meta !== undefined) replay.startFrom(snapshot.meta);
    const entries = replay.after(index);
    if (entries === undefined) {
      const why = `no entry follows the snapshot at ${index}`;
      throw new Fault("LOG_DAMAGED", { file: this.dir, offset: 0, why });
    }
    this.#hardState = replay.hardState;
    return { hardState: replay.hardState, snapshot, entries, tornBytes };
  }

  /** Adds a segment's frames. Answers how many bytes of a torn write were cut from it. */
  async #loadSegment(number: number, isLast: boolean, replay: Replay): Promise<number> {
    const path = this.#path(number);
    const bytes = await readFile(path);
    const { key, content } = decodeWithAny(bytes, this.options.keys.all);
    const { frames, soundBytes, rest } = content;
    if (rest === "damaged" || (rest === "torn" && !isLast)) {
      throw new Fault("LOG_DAMAGED", { file: path, offset: soundBytes });
    }
    const segment = { number, key, lastIndex: 0 };
    for (const frame of frames) {
      const why = replay.add(frame);
      if (why !== undefined)
        throw new Fault("LOG_DAMAGED", { file: path, offset: soundBytes, why });
      noteLast(segment, frame.entries);
    }
    if (soundBytes === 0) await rm(path);
    else this.#segments.push(segment);
    if (rest === "none") return 0;
    const tornBytes = bytes.length - soundBytes;
    if (soundBytes > 0) await cut(path, soundBytes);
    await syncFolder(this.dir);
    this.options.log.warn(
      { file: path, offset: soundBytes, tornBytes },
      "cut a torn write off the log",
    );
    return tornBytes;
  }

  async persist(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    atOnce = false,
  ): Promise<void> {
    await this.#write({ hardState, entries, snapshot: undefined }, atOnce);
  }

  async saveSnapshot(snapshot: RaftSnapshot, keepFrom: number): Promise<void> {
    await this.#guard("write a snapshot", () => this.snapshots.save(snapshot));
    await this.#write({ hardState: undefined, entries: [], snapshot: snapshot.meta });
    await this.snapshots.removeBefore(snapshot);
    await this.#removeSegments(keepFrom);
    await this.options.keys.forgetOthers([
      ...this.#segments.map(({ key }) => key),
      ...this.snapshots.keys,
    ]);
  }

  async #write(frame: LogFrame, atOnce = false): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    await this.#guard("write to the log", () => this.#append(frame, atOnce));
    if (frame.hardState !== undefined) this.#hardState = frame.hardState;
    const current = this.#segments.at(-1);
    if (current !== undefined) noteLast(current, frame.entries);
  }

  async #append(frame: LogFrame, atOnce: boolean): Promise<void> {
    const key = this.options.keys.current;
    const isLong = this.#writer !== undefined && this.#writer.bytes >= this.#segmentBytes;
    // After a change of the data key nothing is written with the old one.
    if (this.#writer !== undefined && (isLong || this.#segments.at(-1)?.key !== key)) {
      await this.#writer.close();
      this.#writer = undefined;
    }
    if (this.#writer !== undefined)
      return this.#writer.append(frame, atOnce ? this.#writeAtOnce : this.#writeAt);
    const number = (this.#segments.at(-1)?.number ?? 0) + 1;
    // Each segment begins with the hard state, so that those before it can be removed.
    const first = { ...frame, hardState: frame.hardState ?? this.#hardState };
    this.#writer = await SegmentWriter.create(this.#path(number), key, first, this.#writeAt);
    this.#segments.push({ number, key, lastIndex: 0 });
  }

  async #guard(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (error instanceof Fault && error.code === "DISK_FULL") throw error;
      if (isFull(error)) throw new Fault("DISK_FULL", { dir: this.dir, what }, error);
      this.#broken = new Fault("LOG_IO", { dir: this.dir, what }, error);
      throw this.#broken;
    }
  }

  /** Oldest first, so that what a crash leaves has no hole. */
  async #removeSegments(keepFrom: number): Promise<void> {
    let removed = false;
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || oldest.lastIndex >= keepFrom) break;
      if (this.#writer?.path === this.#path(oldest.number)) break;
      await rm(this.#path(oldest.number), { force: true });
      this.#segments.shift();
      removed = true;
    }
    if (removed) await syncFolder(this.dir);
  }

  async close(): Promise<void> {
    await this.#writer?.close();
    this.#writer = undefined;
  }

  #path(number: number): string {
    return join(this.dir, `${String(number).padStart(16, "0")}.log`);
  }

  async #numbers(): Promise<readonly number[]> {
    const names = await readdir(this.dir);
    const numbers = names
      .map((name) => SEGMENT_NAME.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
    numbers.forEach((number, i) => {
      const before = numbers[i - 1];
      if (before === undefined || before + 1 === number) return;
      throw new Fault("LOG_DAMAGED", { file: this.#path(before + 1), offset: 0, why: "missing" });
    });
    return numbers;
  }
}

/** A segment does not say which key it is encrypted with: the one that opens its first frame. */
function decodeWithAny(
  bytes: Buffer,
  keys: readonly Uint8Array[],
): { readonly key: Uint8Array; readonly content: SegmentContent } {
  const tried = keys.map((key) => ({ key, content: decodeSegment(bytes, key) }));
  const found = tried.find(({ content }) => content.frames.length > 0) ?? tried[0];
  assert(found, "a ring has a key");
  return found;
}

function noteLast(segment: Segment, entries: readonly Entry[]): void {
  for (const { index } of entries) segment.lastIndex = Math.max(segment.lastIndex, index);
}

async function cut(path: string, bytes: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.truncate(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
