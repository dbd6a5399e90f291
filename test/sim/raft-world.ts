// A whole Raft group in one thread, on one seed: members, their disks, the network between them, and a
// history of what was promised. After every event the invariants of Raft figure 3 are checked.
import { assert } from "../../common/fault.js";
import { type Random, seededRandom } from "../../common/random.js";
import { Raft } from "../../manager/raft/raft.js";
import type { Persist } from "../../manager/raft/ready.js";
import {
  type ConfChange,
  ConfChangeKind,
  type Entry,
  EntryKind,
  type HardState,
  MessageKind,
  type RaftMember,
  RaftMessage,
  type RaftSnapshot,
} from "../../proto/gen/raft.js";

/** What a member's disk holds. `pending` is written and not yet synced: a crash may lose it. */
interface Disk {
  hardState: HardState;
  snapshot: RaftSnapshot;
  entries: Entry[];
}

export interface Member {
  readonly id: number;
  readonly disk: Disk;
  raft: Raft | undefined;
  /** The write under way. */
  writing: Persist | undefined;
  /** What was applied, as text, in order, and up to which index. */
  applied: string[];
  appliedIndex: number;
  cut: boolean;
  /** Of reads that wait: the least index that they must see. */
  readonly reads: Map<number, { readonly atLeast: number; index?: number }>;
}

interface Flying {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly to: number;
}

export interface Faults {
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  readonly delayMax: number;
  readonly crashes: boolean;
  readonly partitions: boolean;
  readonly changes: boolean;
  /** What a crash takes that was said to be durable: seeded bugs, to see that the checks see them. */
  readonly crashForgets?: "votes" | "entries";
}

const memberOf = (raftId: number, learner = false): RaftMember => ({
  raftId,
  nodeId: `n${raftId}`,
  addr: `a${raftId}`,
  learner,
});

export class RaftWorld {
  readonly random: Random;
  readonly members: Member[] = [];
  #flying: Flying[] = [];
  #now = 0;
  #proposals = 0;
  #reads = 0;
  /** The one leader of each term (Election Safety). */
  readonly #leaders = new Map<number, number>();
  /** What is committed at each index, from whoever said so first (State Machine Safety). */
  readonly committed: string[] = [];
  /** The highest index that any client was told is applied. */
  promised = 0;
  readonly trace: string[] = [];

  constructor(
    seed: number,
    count: number,
    private faults: Faults,
  ) {
    this.random = seededRandom(seed);
    const members = Array.from({ length: count }, (_, i) => memberOf(i + 1));
    for (const { raftId } of members) this.#add(raftId, members);
  }

  get now(): number {
    return this.#now;
  }

  #add(id: number, members: readonly RaftMember[]): void {
    const member: Member = {
      id,
      disk: {
        hardState: { term: 1, vote: 0, commit: 1 },
        snapshot: { meta: { index: 1, term: 1, conf: { members } }, data: Buffer.from("[]") },
        entries: [],
      },
      raft: undefined,
      writing: undefined,
      applied: [],
      appliedIndex: 0,
      cut: false,
      reads: new Map(),
    };
    this.members.push(member);
    this.#start(member);
  }

  /** A manager that joins has nothing: no members, no snapshot. */
  #join(id: number): void {
    this.#add(id, []);
    const member = this.members.at(-1);
    if (member === undefined) return;
    member.disk.hardState = { term: 0, vote: 0, commit: 0 };
    member.disk.snapshot = {
      meta: { index: 0, term: 0, conf: { members: [] } },
      data: Buffer.from("[]"),
    };
    this.#start(member);
  }

  #start(member: Member): void {
    const { hardState, snapshot, entries } = member.disk;
    member.raft = new Raft({ id: member.id, random: this.random, hardState, snapshot, entries });
    member.writing = undefined;
    member.applied = JSON.parse(snapshot.data.toString());
    member.appliedIndex = snapshot.meta?.index ?? 0;
    member.reads.clear();
  }

  // ---- Time -------------------------------------------------------------------------------------

  /** One step of the world: something happens to somebody. */
  step(): void {
    this.#now++;
    const { random, faults } = this;
    const member = this.#any(this.members);
    const dice = random.below(1000);
    if (dice < 300) this.#deliverDue();
    if (dice < 420) this.#on(member, "tick", (raft) => raft.tick());
    else if (dice < 620) this.#finishWrite(member);
    else if (dice < 700) this.#propose(member);
    else if (dice < 730) this.#read(member);
    else if (dice < 734 && faults.crashes) this.#crash(member);
    else if (dice < 754) this.#restart(member);
    else if (dice < 757 && faults.partitions) member.cut = true;
    else if (dice < 763) member.cut = false;
    else if (dice < 770 && faults.changes) this.#change();
    else if (dice < 774) this.#compact(member);
    else if (dice < 777)
      this.#on(member, "transfer", (raft) => raft.transferLeader(this.#any(this.members).id));
    else this.#deliverDue();
  }

  /** All faults end; ticks for everyone, until `done` or the patience ends. */
  calm(done: () => boolean, rounds = 400): boolean {
    this.faults = { ...this.faults, lossPercent: 0, duplicatePercent: 0 };
    for (const member of this.members) {
      member.cut = false;
      if (member.raft === undefined) this.#start(member);
    }
    for (let round = 0; round < rounds; round++) {
      if (done()) return true;
      for (const member of this.members) this.#on(member, "tick", (raft) => raft.tick());
      for (let i = 0; i < 40; i++) {
        this.#now++;
        for (const member of this.members) this.#finishWrite(member);
        this.#deliverDue();
      }
    }
    return done();
  }

  leader(): Member | undefined {
    const leaders = this.members.filter(({ raft }) => raft?.role === "leader");
    return leaders.sort((a, b) => (b.raft?.term ?? 0) - (a.raft?.term ?? 0))[0];
  }

  // ---- What happens -----------------------------------------------------------------------------

  #on(member: Member, what: string, action: (raft: Raft) => void): void {
    if (member.raft === undefined) return;
    this.#note(member, what);
    action(member.raft);
    this.#drain(member, member.raft);
    this.check();
  }

  #propose(member: Member): void {
    const text = `p${++this.#proposals}`;
    this.#on(member, text, (raft) => raft.propose(Buffer.from(text)));
  }

  propose(text: string): void {
    const leader = this.leader();
    if (leader !== undefined) this.#on(leader, text, (raft) => raft.propose(Buffer.from(text)));
  }

  #read(member: Member): void {
    const context = ++this.#reads;
    member.reads.set(context, { atLeast: this.promised });
    this.#on(member, "read", (raft) => raft.readIndex(context));
  }

  #crash(member: Member): void {
    // What was being written is lost, or is there whole: one write is one frame.
    if (member.writing !== undefined && this.random.below(2) === 0)
      this.#store(member, member.writing);
    const { disk } = member;
    const { crashForgets } = this.faults;
    if (crashForgets === "votes") disk.hardState = { ...disk.hardState, term: 1, vote: 0 };
    if (crashForgets === "entries") disk.entries = disk.entries.slice(0, disk.entries.length >> 1);
    member.raft = undefined;
    member.writing = undefined;
    this.#note(member, "crash");
  }

  #restart(member: Member): void {
    if (member.raft !== undefined) return;
    this.#start(member);
    this.#on(member, "start", () => {});
  }

  #compact(member: Member): void {
    const { raft } = member;
    if (raft === undefined || raft.restoring || raft.applied < 3) return;
    const data = Buffer.from(JSON.stringify(member.applied));
    const snapshot = { meta: raft.snapshotMeta(), data };
    member.disk.snapshot = snapshot;
    member.disk.entries = member.disk.entries.filter(({ index }) => index > snapshot.meta.index);
    raft.compact(raft.applied - this.random.below(3));
    this.#note(member, `compact ${snapshot.meta.index}`);
  }

  #change(): void {
    const leader = this.leader();
    if (leader?.raft === undefined) return;
    const { members } = leader.raft;
    const learner = members.find((member) => member.learner);
    if (learner !== undefined) {
      this.#proposeChange(leader, { kind: ConfChangeKind.PROMOTE, member: learner });
    } else if (members.length > 3 || (members.length === 3 && this.random.below(4) === 0)) {
      this.#proposeChange(leader, { kind: ConfChangeKind.REMOVE, member: this.#any(members) });
    } else if (this.members.length < 12) {
      const id = this.members.length + 1;
      this.#join(id);
      this.#proposeChange(leader, { kind: ConfChangeKind.ADD_LEARNER, member: memberOf(id, true) });
    }
  }

  #proposeChange(leader: Member, change: ConfChange): void {
    const what = `${ConfChangeKind[change.kind]} ${change.member?.raftId}`;
    this.#on(leader, what, (raft) => raft.proposeConfChange(change));
  }

  #deliverDue(): void {
    const due = this.#flying.filter(({ at }) => at <= this.#now);
    this.#flying = this.#flying.filter(({ at }) => at > this.#now);
    for (const { to, bytes } of due) {
      const member = this.members.find(({ id }) => id === to);
      const message = RaftMessage.decode(bytes);
      if (member?.raft === undefined || member.cut || this.#isCut(message.from)) continue;
      this.#on(member, `m${message.kind} from ${message.from}`, (raft) => raft.step(message));
    }
  }

  // ---- What is done about it --------------------------------------------------------------------

  #drain(member: Member, raft: Raft): void {
    for (;;) {
      const ready = raft.ready();
      for (const message of ready.messages) this.#send(message);
      for (const entry of ready.committed) this.#apply(member, entry);
      if (ready.snapshotWanted) {
        const data = Buffer.from(JSON.stringify(member.applied));
        raft.offerSnapshot({ meta: raft.snapshotMeta(), data });
      }
      for (const { context, index } of ready.reads) {
        const read = member.reads.get(context);
        if (read !== undefined) read.index = index;
      }
      if (!raft.restoring) this.#answerReads(member);
      if (ready.persist !== undefined) member.writing = ready.persist;
      if (ready.committed.length === 0 && !ready.snapshotWanted) return;
    }
  }

  #finishWrite(member: Member): void {
    const { raft, writing } = member;
    if (raft === undefined || writing === undefined) return;
    this.#store(member, writing);
    member.writing = undefined;
    if (writing.snapshot !== undefined) {
      member.applied = JSON.parse(writing.snapshot.data.toString());
      member.appliedIndex = writing.snapshot.meta?.index ?? 0;
    }
    this.#on(member, "written", () => {
      for (const message of writing.messages) this.#send(message);
      raft.advance();
    });
  }

  #store({ disk }: Member, { snapshot, hardState, entries }: Persist): void {
    if (snapshot !== undefined) {
      const { index = 0, term = 0 } = snapshot.meta ?? {};
      const agrees = disk.entries.some((entry) => entry.index === index && entry.term === term);
      disk.snapshot = snapshot;
      disk.entries = agrees ? disk.entries.filter((entry) => entry.index > index) : [];
    }
    if (hardState !== undefined) disk.hardState = hardState;
    const first = entries[0]?.index;
    if (first === undefined) return;
    const from = disk.snapshot.meta?.index ?? 0;
    const kept = disk.entries.filter((entry) => entry.index < first);
    disk.entries = [...kept, ...entries].filter((entry) => entry.index > from);
  }

  #apply(member: Member, entry: Entry): void {
    assert(entry.index === member.appliedIndex + 1, `${member.id} applies in order`);
    member.appliedIndex = entry.index;
    const text = `${entry.term}:${entry.kind}:${entry.data.toString("hex")}`;
    const known = this.committed[entry.index];
    assert(known === undefined || known === text, `one entry is committed at ${entry.index}`);
    this.committed[entry.index] = text;
    if (entry.kind === EntryKind.NORMAL) member.applied.push(entry.data.toString());
    if (member.raft?.role === "leader") this.promised = Math.max(this.promised, entry.index);
  }

  /** Dissertation section 6.4: a read sees everything that anyone was told before it began. */
  #answerReads(member: Member): void {
    for (const [context, { atLeast, index }] of member.reads) {
      if (index === undefined || member.appliedIndex < index) continue;
      assert(member.appliedIndex >= atLeast, `the read at ${member.id} sees what was promised`);
      member.reads.delete(context);
    }
  }

  #send(message: RaftMessage): void {
    const { random, faults } = this;
    if (this.#isCut(message.from)) return;
    const bytes = RaftMessage.encode(message).finish();
    if (message.kind === MessageKind.NO_VOTE) {
      // It changes nothing, and so no chance is spent on it.
      this.#flying.push({ at: this.#now, bytes, to: message.to });
      return;
    }
    if (random.below(100) < faults.lossPercent) return;
    const copies = random.below(100) < faults.duplicatePercent ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.#flying.push({ at: this.#now + random.below(faults.delayMax), bytes, to: message.to });
    }
  }

  #isCut(id: number): boolean {
    return this.members.some((member) => member.id === id && member.cut);
  }

  // ---- Invariants -------------------------------------------------------------------------------

  check(): void {
    for (const { id, raft } of this.members) {
      if (raft?.role !== "leader") continue;
      const known = this.#leaders.get(raft.term);
      assert(
        known === undefined || known === id,
        `term ${raft.term} has one leader: ${known}, ${id}`,
      );
      if (known === undefined) this.#checkComplete(id, raft);
      this.#leaders.set(raft.term, id);
    }
  }

  /** Leader Completeness: who is elected has every entry that is committed. */
  #checkComplete(id: number, raft: Raft): void {
    const last = this.committed.length - 1;
    assert(raft.lastIndex > last || this.committed.length === 0, `leader ${id} has all of ${last}`);
    for (let index = raft.firstIndex; index <= last; index++) {
      const term = this.committed[index]?.split(":")[0];
      assert(
        term === undefined || Number(term) === raft.termAt(index),
        `leader ${id} has ${index}`,
      );
    }
  }

  /** Log Matching: logs that agree on an entry agree on everything before it. */
  checkLogs(): void {
    const rafts = this.members.flatMap(({ raft }) => (raft === undefined ? [] : [raft]));
    for (const a of rafts) {
      for (const b of rafts) {
        let agree = false;
        const from = Math.max(a.firstIndex, b.firstIndex);
        for (let index = Math.min(a.lastIndex, b.lastIndex); index >= from; index--) {
          const same = a.termAt(index) === b.termAt(index);
          assert(same || !agree, `${a.id} and ${b.id} agree before ${index}`);
          agree ||= same;
        }
      }
    }
  }

  #any<T>(items: readonly T[]): T {
    const item = items[this.random.below(items.length)];
    assert(item !== undefined, "there is one to choose");
    return item;
  }

  #note({ id, raft }: Member, what: string): void {
    const state =
      raft === undefined
        ? "down"
        : `${raft.role} t${raft.term} c${raft.commit} s${raft.stable} l${raft.lastIndex}`;
    this.trace.push(`${this.#now} ${id} ${what} | ${state}`);
    if (this.trace.length > 400) this.trace.splice(0, 200);
  }
}
