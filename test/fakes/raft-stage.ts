// Raft members on a stage: nothing happens but what the script says. A message lies in flight until it is
// delivered or lost, a slow disk has not written until it is told so, and each thing that happens is a line.
import type { Random } from "../../common/random.js";
import { ELECTION_TICKS } from "../../manager/raft/limits.js";
import { Raft } from "../../manager/raft/raft.js";
import type { Persist, Ready } from "../../manager/raft/ready.js";
import {
  ConfChange,
  type Entry,
  EntryKind,
  type HardState,
  RaftMessage,
  type RaftSnapshot,
} from "../../proto/gen/raft.js";
import { member } from "./raft-cluster.js";
import { entryWords, membersWords, messageWords, positionWords, writeWords } from "./raft-words.js";

interface Disk {
  hardState: HardState;
  snapshot: RaftSnapshot | undefined;
  entries: readonly Entry[];
}

interface Actor {
  raft: Raft;
  readonly disk: Disk;
  /** What its state machine holds. */
  applied: string[];
  up: boolean;
  slow: boolean;
  writing: Persist | undefined;
  /** As it was described last. */
  role: string;
  commit: number;
}

/** A kind of line: what goes between members, and what becomes of them. */
type Report = (kind: "message" | "change", line: string) => void;

/** Which messages are meant: of a sender, to a receiver, of a kind; undefined is any. */
export interface Pattern {
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly kind: string | undefined;
}

const DELIVERIES_MAX = 5_000;

export class RaftStage {
  readonly #actors = new Map<number, Actor>();
  #inFlight: RaftMessage[] = [];
  readonly #cut = new Set<string>();
  readonly #timeouts = new Map<number, number>();
  #reads = 0;

  constructor(
    private readonly report: Report,
    ids: readonly number[] = [],
    learners: readonly number[] = [],
  ) {
    const members = [...ids, ...learners].map((id) => member(id, learners.includes(id)));
    const snapshot = { meta: { index: 1, term: 1, conf: { members } }, data: Buffer.from("[]") };
    const hardState = { term: 1, vote: 0, commit: 1 };
    for (const { raftId } of members) this.#start(raftId, { hardState, snapshot, entries: [] });
  }

  get ids(): readonly number[] {
    return [...this.#actors.keys()];
  }

  /** A member with an empty disk, that a leader has just added. */
  join(id: number): void {
    this.#start(id, {
      hardState: { term: 0, vote: 0, commit: 0 },
      snapshot: undefined,
      entries: [],
    });
  }

  /** Gives a member a log: the entries from 2 on, as their terms and sizes. It has voted for nobody. */
  giveLog(id: number, log: readonly { term: number; bytes: number }[], term: number): void {
    const { disk } = this.#actor(id);
    const entries = log.map((each, i) => {
      const data = each.bytes === 0 ? Buffer.from("old") : Buffer.alloc(each.bytes, "o");
      return { term: each.term, index: i + 2, kind: EntryKind.NORMAL, data };
    });
    const hardState = { term: Math.max(term, log.at(-1)?.term ?? 1), vote: 0, commit: 1 };
    this.#start(id, { hardState, snapshot: disk.snapshot, entries });
  }

  /** How long it waits for a leader, from its next wait on, where chance would say. */
  setTimeoutTicks(id: number, ticks: number): void {
    this.#timeouts.set(id, ticks - ELECTION_TICKS);
  }

  isUp(id: number): boolean {
    return this.#actor(id).up;
  }

  /** Does something to a member, then lets it do what follows from it. */
  act(id: number, action: (raft: Raft) => void): void {
    const actor = this.#actor(id);
    if (!actor.up) throw new Error(`${id} is down`);
    action(actor.raft);
    this.#drain(id, actor);
  }

  read(id: number): void {
    const context = ++this.#reads;
    this.act(id, (raft) => {
      if (!raft.readIndex(context)) this.report("change", `${id} knows no leader to read from`);
    });
  }

  // ---- Disks ------------------------------------------------------------------------------------

  setDisk(id: number, speed: "slow" | "fast"): void {
    this.#actor(id).slow = speed === "slow";
    if (speed === "fast") this.written(id);
  }

  /** The write under way is durable. */
  written(id: number): void {
    const actor = this.#actor(id);
    if (actor.writing === undefined) return;
    this.report("change", `${id} has written ${writeWords(actor.writing, actor.disk.hardState)}`);
    this.#finish(id, actor, actor.writing);
    this.#drain(id, actor);
  }

  crash(id: number): void {
    const actor = this.#actor(id);
    actor.up = false;
    actor.writing = undefined;
    this.report("change", `${id} is down`);
  }

  restart(id: number): void {
    const { disk, slow } = this.#actor(id);
    const actor = this.#start(id, disk);
    actor.slow = slow;
    const { term, vote } = disk.hardState;
    const { raft } = actor;
    const log = `log to ${positionWords(raft.lastIndex, raft.termAt(raft.lastIndex) ?? 0)}`;
    this.report("change", `${id} is up: term=${term} vote=${vote} commit=${raft.commit}, ${log}`);
  }

  // ---- Messages ---------------------------------------------------------------------------------

  cut(from: number, to: number): void {
    this.#cut.add(`${from}->${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Until nothing is in flight. */
  deliverAll(): void {
    for (let i = 0; i < DELIVERIES_MAX; i++) {
      const message = this.#inFlight.shift();
      if (message === undefined) return;
      this.#deliver(message);
    }
    throw new Error("the members talk without end");
  }

  /** What is in flight now and fits; not what follows from it. */
  deliver(pattern: Pattern): void {
    for (const message of this.#take(pattern)) this.#deliver(message);
  }

  lose(pattern: Pattern): void {
    for (const message of this.#take(pattern)) this.#show(message, "lost");
  }

  duplicate(pattern: Pattern): void {
    this.#inFlight.push(...this.#inFlight.filter((message) => fits(pattern, message)));
  }

  showInFlight(): void {
    for (const message of this.#inFlight) this.#show(message);
  }

  showStatus(): void {
    for (const [id, { raft, up, applied }] of this.#actors) {
      const log = `log ${raft.firstIndex - 1}..${raft.lastIndex} commit=${raft.commit}`;
      const leads = raft.role === "leader" ? `, ${matchWords(raft)}` : "";
      const state = `${roleOf(raft)}, ${log}, applied [${applied.map(short).join(" ")}]${leads}`;
      this.report("change", `${id} ${up ? state : "is down"}`);
    }
  }

  showLog(id: number): void {
    const { raft, disk } = this.#actor(id);
    const shown = disk.entries.filter(({ index }) => index >= raft.firstIndex);
    this.report("change", `${id} has on disk: ${shown.map(entryWords).join(" ") || "nothing"}`);
  }

  #deliver(message: RaftMessage): void {
    const receiver = this.#actors.get(message.to);
    if (receiver?.up !== true) {
      this.#show(message, `${message.to} is down`);
      return;
    }
    this.#show(message);
    const why = receiver.raft.step(RaftMessage.decode(RaftMessage.encode(message).finish()));
    if (why !== undefined) this.report("change", `${message.to} drops it: ${why}`);
    this.#drain(message.to, receiver);
  }

  #take(pattern: Pattern): readonly RaftMessage[] {
    const taken = this.#inFlight.filter((message) => fits(pattern, message));
    this.#inFlight = this.#inFlight.filter((message) => !taken.includes(message));
    return taken;
  }

  #send(message: RaftMessage): void {
    if (this.#cut.has(`${message.from}->${message.to}`)) this.#show(message, "lost");
    else this.#inFlight.push(message);
  }

  #show(message: RaftMessage, fate?: string): void {
    this.report("message", messageWords(message) + (fate === undefined ? "" : ` (${fate})`));
  }

  // ---- One member -------------------------------------------------------------------------------

  #start(id: number, disk: Disk): Actor {
    const random: Random = {
      bytes: (length) => new Uint8Array(length),
      below: () => this.#timeouts.get(id) ?? 0,
    };
    const raft = new Raft({ id, random, ...disk });
    const applied = restored(disk.snapshot);
    const state = { role: roleOf(raft), commit: raft.commit };
    const actor = { raft, disk, applied, up: true, slow: false, writing: undefined, ...state };
    this.#actors.set(id, actor);
    return actor;
  }

  #actor(id: number): Actor {
    const actor = this.#actors.get(id);
    if (actor === undefined) throw new Error(`there is no member ${id}`);
    return actor;
  }

  #drain(id: number, actor: Actor): void {
    this.#noteRole(id, actor);
    for (;;) {
      const ready = actor.raft.ready();
      this.#apply(id, actor, ready);
      this.#noteRole(id, actor);
      for (const message of ready.messages) this.#send(message);
      const { persist } = ready;
      if (persist !== undefined) {
        const written = writeWords(persist, actor.disk.hardState);
        const doing = actor.slow ? "begins to write" : "writes";
        if (written !== "") this.report("change", `${id} ${doing} ${written}`);
        if (actor.slow && written !== "") actor.writing = persist;
        else this.#finish(id, actor, persist);
      }
      const idle = ready.messages.length + ready.committed.length + ready.reads.length === 0;
      if (idle && persist === undefined && !ready.snapshotWanted) return;
    }
  }

  #apply(id: number, actor: Actor, { committed, reads, snapshotWanted }: Ready): void {
    const { raft } = actor;
    if (raft.commit > actor.commit) this.report("change", `${id} knows commit=${raft.commit}`);
    actor.commit = raft.commit;
    for (const entry of committed) {
      if (entry.kind === EntryKind.NORMAL) {
        if (entry.data.length > 0) actor.applied.push(entry.data.toString());
        continue;
      }
      const { member: changed } = ConfChange.decode(entry.data);
      const members = membersWords(raft.members);
      this.report("change", `${id} applies the change of ${changed?.raftId}: members ${members}`);
    }
    for (const { context, index } of reads) {
      this.report("change", `${id} may answer read ${context} once it has applied ${index}`);
    }
    if (snapshotWanted) {
      const data = Buffer.from(JSON.stringify(actor.applied));
      raft.offerSnapshot({ meta: raft.snapshotMeta(), data });
    }
  }

  #finish(id: number, actor: Actor, persist: Persist): void {
    const { disk } = actor;
    actor.writing = undefined;
    disk.hardState = persist.hardState ?? disk.hardState;
    if (persist.snapshot !== undefined) {
      disk.snapshot = persist.snapshot;
      disk.entries = [];
      actor.applied = restored(persist.snapshot);
      actor.commit = actor.raft.commit;
      this.report("change", `${id} has now what the snapshot holds`);
    }
    const first = persist.entries[0]?.index ?? Number.POSITIVE_INFINITY;
    disk.entries = [...disk.entries.filter(({ index }) => index < first), ...persist.entries];
    for (const message of persist.messages) this.#send(message);
    actor.raft.advance();
    this.#noteRole(id, actor);
  }

  #noteRole(id: number, actor: Actor): void {
    const role = roleOf(actor.raft);
    if (role !== actor.role) this.report("change", `${id} is ${role}`);
    actor.role = role;
  }
}

function roleOf({ role, term, leaderId }: Raft): string {
  const of = role === "follower" && leaderId !== 0 ? ` of ${leaderId}` : "";
  return `${role}${of} term=${term}`;
}

function matchWords(raft: Raft): string {
  const matches = [...raft.matches()].map(([id, match]) => `${id}:${match}`);
  return `match ${matches.join(" ") || "nobody"}`;
}

function short(text: string): string {
  return text.length > 12 ? `${text.slice(0, 4)}…` : text;
}

function restored(snapshot: RaftSnapshot | undefined): string[] {
  return snapshot === undefined ? [] : JSON.parse(snapshot.data.toString());
}

function fits({ from, to, kind }: Pattern, message: RaftMessage): boolean {
  if (from !== undefined && from !== message.from) return false;
  if (to !== undefined && to !== message.to) return false;
  return kind === undefined || messageWords(message).split(" ")[1] === kind;
}
