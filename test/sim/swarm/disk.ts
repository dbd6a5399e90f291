// A manager's log on a disk that can be trusted with what it has acknowledged, and with nothing else: a crash leaves of
// the write under way all or nothing (one frame, whose torn half is cut off at the next start: manager/disk). One that
// lies acknowledges what a crash then takes away.
import { Fault } from "../../../common/fault.js";
import type { Random } from "../../../common/random.js";
import type { StoredLog } from "../../../manager/seams.js";
import type { Entry, HardState, RaftSnapshot } from "../../../proto/gen/raft.js";
import type { SeatLog } from "../../fakes/seat-process.js";
import type { VirtualTime } from "./time.js";

export interface Content {
  readonly hardState: HardState;
  readonly snapshot: RaftSnapshot | undefined;
  /** Contiguous. Never changed in place. */
  readonly entries: readonly Entry[];
}
type Write = (content: Content) => Content;

const NOTHING: Content = {
  hardState: { term: 0, vote: 0, commit: 0 },
  snapshot: undefined,
  entries: [],
};
// Choice: writes that a disk which lies may hold back.
const HELD_BACK_MAX = 8;

export class SimDisk implements SeatLog {
  #content: Content = NOTHING;
  /** Of a disk that lies: what it had before each write that it has only said to be durable, oldest first. */
  #before: Content[] = [];
  #writing: readonly Write[] = [];
  isFull = false;
  isLying = false;
  writes = 0;
  /** What its process began with. */
  loaded: Content = NOTHING;
  /** The next write is not survived by the process. */
  onWrite: () => void = () => {};
  onDurable: (entries: readonly Entry[]) => void = () => {};

  constructor(
    private readonly time: VirtualTime,
    private readonly random: Random,
    private readonly slowestMs: () => number,
  ) {}

  get content(): Content {
    return this.#content;
  }

  begin(snapshot: RaftSnapshot, hardState: HardState = NOTHING.hardState): void {
    this.#content = { hardState, snapshot, entries: [] };
  }

  /** 0: it has no entry there. */
  termAt(index: number): number {
    const { entries, snapshot } = this.#content;
    const first = entries[0]?.index ?? 0;
    const entry = first === 0 ? undefined : entries[index - first];
    if (entry !== undefined) return entry.term;
    return snapshot?.meta?.index === index ? snapshot.meta.term : 0;
  }

  /** What a snapshot covers it has, too. */
  covers(index: number): boolean {
    return (this.#content.snapshot?.meta?.index ?? 0) >= index;
  }

  async load(): Promise<StoredLog> {
    this.loaded = this.#content;
    return this.peek();
  }

  peek(): StoredLog {
    const { hardState, snapshot, entries } = this.#content;
    const after = snapshot?.meta?.index ?? 0;
    return {
      hardState,
      snapshot,
      entries: entries.filter(({ index }) => index > after),
      tornBytes: 0,
    };
  }

  persist(hardState: HardState | undefined, entries: readonly Entry[]): Promise<void> {
    return this.#write([(content) => persisted(content, hardState, entries)], entries);
  }

  saveSnapshot(snapshot: RaftSnapshot, keepFrom: number): Promise<void> {
    const save: Write = (content) => ({ ...content, snapshot });
    const forget: Write = (content) => compacted(content, snapshot, keepFrom);
    return this.#write([save, forget], []);
  }

  async close(): Promise<void> {}

  /** The process is gone; of the write under way some steps were done, whole ones. */
  crash(): string {
    const done = this.random.below(this.#writing.length + 1);
    for (const write of this.#writing.slice(0, done)) this.#do(write);
    const torn = `${done} of ${this.#writing.length} writes done`;
    this.#writing = [];
    const held = this.#before.length;
    if (!this.isLying || held === 0) return torn;
    this.#content = this.#before[this.random.below(held)] ?? this.#content;
    this.#before = [];
    return `${torn}, and up to ${held} forgotten that were said to be durable`;
  }

  async #write(writes: readonly Write[], entries: readonly Entry[]): Promise<void> {
    this.#writing = writes;
    const ms = this.random.below(this.slowestMs() + 1);
    this.onWrite();
    await new Promise<void>((resolve) => {
      this.time.in(ms, resolve);
    });
    // Crashed meanwhile: who waits is gone, and what was written is decided already.
    if (this.#writing !== writes) return new Promise<never>(() => {});
    this.#writing = [];
    if (this.isFull) throw new Fault("DISK_FULL", { dir: "memory" });
    this.writes++;
    for (const write of writes) this.#do(write);
    this.onDurable(entries);
  }

  #do(write: Write): void {
    if (this.isLying) {
      this.#before.push(this.#content);
      if (this.#before.length > HELD_BACK_MAX) this.#before.shift();
    }
    this.#content = write(this.#content);
  }
}

function persisted(
  content: Content,
  hardState: HardState | undefined,
  entries: readonly Entry[],
): Content {
  const first = entries[0]?.index;
  const kept =
    first === undefined
      ? content.entries
      : [...content.entries.slice(0, Math.max(0, first - firstOf(content, first))), ...entries];
  return { ...content, hardState: hardState ?? content.hardState, entries: kept };
}

function compacted(content: Content, snapshot: RaftSnapshot, keepFrom: number): Content {
  const { index = 0, term = 0 } = snapshot.meta ?? {};
  const agrees = content.entries.some((entry) => entry.index === index && entry.term === term);
  const entries = agrees ? content.entries.filter((entry) => entry.index >= keepFrom) : [];
  return { ...content, entries };
}

function firstOf({ entries }: Content, otherwise: number): number {
  return entries[0]?.index ?? otherwise;
}
