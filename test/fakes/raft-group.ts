// Raft members in lock step, for conversations: every message is delivered at once unless its link is
// cut, every write is durable at once unless the disk is held.
import { seededRandom } from "../../common/random.js";
import { Raft } from "../../manager/raft/raft.js";
import {
  type Entry,
  type HardState,
  type MessageKind,
  RaftMessage,
  type RaftSnapshot,
} from "../../proto/gen/raft.js";
import { member } from "./raft-cluster.js";

export interface GroupMember {
  raft: Raft;
  hardState: HardState;
  snapshot: RaftSnapshot | undefined;
  entries: Entry[];
  applied: string[];
  reads: { context: number; index: number }[];
  held: boolean;
}

export class RaftGroup {
  readonly members = new Map<number, GroupMember>();
  readonly sent: RaftMessage[] = [];
  #queue: RaftMessage[] = [];
  readonly #isolated = new Set<number>();
  /** Messages of these kinds are lost. */
  readonly lost = new Set<MessageKind>();
  /** Answers whether a message arrives. */
  arrivals: (message: RaftMessage) => boolean = () => true;
  /** Snapshots that took so long to make that they are offered only now. */
  readonly late: RaftSnapshot[] = [];

  constructor(ids: readonly number[], learners: readonly number[] = []) {
    const members = ids.map((id) => member(id, learners.includes(id)));
    const snapshot = { meta: { index: 1, term: 1, conf: { members } }, data: Buffer.from("[]") };
    for (const id of ids) this.add(id, snapshot);
  }

  add(id: number, snapshot?: RaftSnapshot, entries: Entry[] = [], hard?: HardState): GroupMember {
    const first = snapshot === undefined ? 0 : 1;
    const hardState = hard ?? { term: first, vote: 0, commit: first };
    const raft = new Raft({ id, random: seededRandom(id), hardState, snapshot, entries });
    const applied = snapshot === undefined ? [] : JSON.parse(snapshot.data.toString());
    const made = { raft, hardState, snapshot, entries, applied, reads: [], held: false };
    this.members.set(id, made);
    return made;
  }

  /** A crash and a start: what was on the disk is what there is. */
  restart(id: number): void {
    const { snapshot, entries, hardState } = this.get(id);
    this.add(id, snapshot, entries, hardState);
  }

  get(id: number): GroupMember {
    const found = this.members.get(id);
    if (found === undefined) throw new Error(`no member ${id}`);
    return found;
  }

  raft(id: number): Raft {
    return this.get(id).raft;
  }

  /** As a snapshot. */
  state(id: number): RaftSnapshot {
    const { raft, applied } = this.get(id);
    return { meta: raft.snapshotMeta(), data: Buffer.from(JSON.stringify(applied)) };
  }

  isolate(...ids: number[]): void {
    for (const id of ids) this.#isolated.add(id);
  }

  heal(): void {
    this.#isolated.clear();
    this.lost.clear();
  }

  /** Ticks one member until it leads. */
  elect(id: number): void {
    for (let i = 0; i < 60 && this.raft(id).role !== "leader"; i++) this.tick(id);
    if (this.raft(id).role !== "leader") throw new Error(`${id} was not elected`);
  }

  tick(...ids: number[]): void {
    for (const id of ids) this.raft(id).tick();
    this.run();
  }

  ticks(count: number): void {
    for (let i = 0; i < count; i++) this.tick(...this.members.keys());
  }

  propose(id: number, text: string): void {
    this.raft(id).propose(Buffer.from(text));
    this.run();
  }

  step(message: RaftMessage): void {
    this.raft(message.to).step(message);
    this.run();
  }

  /** Until nothing more happens. */
  run(): void {
    for (let i = 0; i < 10_000; i++) {
      let idle = true;
      for (const [id, one] of this.members) if (this.#drain(id, one)) idle = false;
      const message = this.#queue.shift();
      if (message !== undefined) {
        this.members.get(message.to)?.raft.step(message);
        idle = false;
      }
      if (idle) return;
    }
    throw new Error("the group talks without end");
  }

  #drain(id: number, one: GroupMember): boolean {
    const ready = one.raft.ready(!one.held);
    for (const message of ready.messages) this.#send(id, message);
    for (const entry of ready.committed) {
      if (entry.kind === 0 && entry.data.length > 0) one.applied.push(entry.data.toString());
    }
    if (ready.snapshotWanted) one.raft.offerSnapshot(this.late.pop() ?? this.state(id));
    one.reads.push(...ready.reads);
    const { persist } = ready;
    if (persist !== undefined) {
      if (persist.hardState !== undefined) one.hardState = persist.hardState;
      if (persist.snapshot !== undefined) {
        one.snapshot = persist.snapshot;
        one.entries = [];
        one.applied = JSON.parse(persist.snapshot.data.toString());
      }
      const first = persist.entries[0]?.index ?? Number.POSITIVE_INFINITY;
      one.entries = [...one.entries.filter(({ index }) => index < first), ...persist.entries];
      for (const message of persist.messages) this.#send(id, message);
      one.raft.advance();
    }
    return ready.messages.length + ready.committed.length > 0 || persist !== undefined;
  }

  #send(from: number, message: RaftMessage): void {
    this.sent.push(message);
    if (this.#isolated.has(from) || this.#isolated.has(message.to)) return;
    if (this.lost.has(message.kind) || !this.arrivals(message)) return;
    this.#queue.push(RaftMessage.decode(RaftMessage.encode(message).finish()));
  }
}
