// A LogDisk in memory. What was persisted survives `reopen`, as it would a crash.
import { Fault } from "../../common/fault.js";
import type { LogDisk, StoredLog } from "../../manager/seams.js";
import type { Entry, HardState, RaftSnapshot } from "../../proto/gen/raft.js";

export class MemoryLogDisk implements LogDisk {
  hardState: HardState = { term: 0, vote: 0, commit: 0 };
  snapshot: RaftSnapshot | undefined;
  entries: Entry[] = [];
  /** While true, every write is refused as a full disk's. */
  full = false;
  /** Set: every write fails with this. */
  broken: Error | undefined;
  writes = 0;
  #closed = false;
  /** Called before each write; a test may hold it back. */
  beforeWrite: () => Promise<void> = async () => {};

  async load(): Promise<StoredLog> {
    this.#closed = false;
    return this.peek();
  }

  begin(snapshot: RaftSnapshot): void {
    this.snapshot = snapshot;
  }

  /** What it holds, whoever uses it. */
  peek(): StoredLog {
    const { hardState, snapshot } = this;
    const after = snapshot?.meta?.index ?? 0;
    const entries = this.entries.filter((entry) => entry.index > after);
    return { hardState, snapshot, entries, tornBytes: 0 };
  }

  async persist(hardState: HardState | undefined, entries: readonly Entry[]): Promise<void> {
    await this.#admit();
    if (hardState !== undefined) this.hardState = hardState;
    const first = entries[0]?.index;
    if (first === undefined) return;
    this.entries = [...this.entries.filter((entry) => entry.index < first), ...entries];
  }

  async saveSnapshot(snapshot: RaftSnapshot, keepFrom: number): Promise<void> {
    await this.#admit();
    const { index = 0, term = 0 } = snapshot.meta ?? {};
    const agrees = this.entries.some((entry) => entry.index === index && entry.term === term);
    if (!agrees) this.entries = [];
    this.snapshot = snapshot;
    this.entries = this.entries.filter((entry) => entry.index >= keepFrom);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #admit(): Promise<void> {
    if (this.#closed) throw new Error("used after close");
    await this.beforeWrite();
    if (this.broken !== undefined) throw this.broken;
    if (this.full) throw new Fault("DISK_FULL", { dir: "memory" });
    this.writes++;
  }
}
