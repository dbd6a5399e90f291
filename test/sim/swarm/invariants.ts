// What must be true after every event (docs/simulator.md). Each check costs what has changed since the last event.
import type { Member } from "../../../manager/member.js";
import { applyChange } from "../../../manager/raft/conf.js";
import { ConfChange, type Entry, EntryKind, type RaftMember } from "../../../proto/gen/raft.js";
import { asChanges, StateDigest } from "./digest.js";
import type { Content, SimDisk } from "./disk.js";
import { Given } from "./given.js";
import type { SimNode } from "./node.js";

export class Violation extends Error {}

/** What is looked at of a member from when it is first seen. */
interface Watched {
  readonly node: SimNode;
  readonly digest: StateDigest;
  commit: number;
  members: readonly RaftMember[];
  /** The term in which it was seen to lead last. */
  leads: number;
}

interface Promise_ {
  readonly kind: "network" | "endpoint" | "service" | "secret";
  readonly id: string;
}

export class Invariants {
  readonly #watched = new Map<Member, Watched>();
  /** The raft id that leads in each term (Raft figure 3, Election Safety). */
  readonly #leaders = new Map<number, number>();
  /** The term of the entry that is committed at each index. */
  readonly #committed = new Map<number, number>();
  /** As they were after the last event. */
  readonly #disks = new Map<string, SimDisk>();
  readonly #digests = new Map<number, string>();
  #given = new Given();
  #givenAt = 0;
  /** What was acknowledged, and nobody has asked to take away. */
  readonly #promised = new Map<string, Promise_>();
  readonly #removedAtMs = new Map<string, number>();
  /** What was found wrong in the middle of an event. */
  #unsaid: unknown;

  constructor(
    private readonly nodes: ReadonlyMap<string, SimNode>,
    private readonly nowMs: () => number,
  ) {}

  get commits(): number {
    return this.#committed.size;
  }
  get terms(): number {
    return this.#leaders.size;
  }

  // ---- After every event ----------------------------------------------------------------------------

  look(): void {
    if (this.#unsaid !== undefined) throw this.#unsaid;
    for (const node of this.nodes.values()) {
      const { member } = node;
      if (member === undefined) continue;
      this.#lookAt(this.#watched.get(member) ?? this.#watch(node, member), member);
      this.#disks.set(node.id, node.disk);
    }
  }

  #lookAt(watched: Watched, member: Member): void {
    const { role, term, commit, raftId, ready, members } = member.consensus.status();
    if (role === "leader") {
      const other = this.#leaders.get(term);
      if (other === undefined) this.#leaders.set(term, raftId);
      else if (other !== raftId) fail(`term ${term} has two leaders: ${other} and ${raftId}`);
      if (ready && watched.leads !== term) {
        watched.leads = term;
        this.#keepsPromises(watched.node, member);
      }
    }
    if (commit > watched.commit) {
      for (let index = watched.commit + 1; index <= commit; index++) {
        this.#committedAt(index, [watched.members, members]);
      }
      watched.commit = commit;
    }
    watched.members = members;
  }

  #watch(node: SimNode, member: Member): Watched {
    const digest = new StateDigest(member.store.view);
    // What its log says to be committed is looked at as if it were news.
    const { snapshot } = node.disk.content;
    const commit = snapshot?.meta?.index ?? 0;
    const status = member.consensus.status();
    // It may have led since it was started, alone, before it could be looked at.
    const members = membersOf(node.disk.loaded);
    const watched = { node, digest, commit, members, leads: 0 };
    this.#watched.set(member, watched);
    for (let index = commit + 1; index <= status.commit; index++) {
      this.#agrees(node, index, node.disk.termAt(index));
    }
    this.#isSame(node, member.store.revision, digest);
    this.#note(member, member.store.revision, undefined);
    member.store.changes.subscribe((change) => {
      if (change.restored) digest.restart(member.store.view);
      else digest.note(change);
      try {
        this.#isSame(node, change.revision, digest);
        this.#note(member, change.revision, change.restored ? undefined : change.changed);
      } catch (violation) {
        // Thrown here it would be the manager's own failure, which ends its process and nothing else.
        this.#unsaid ??= violation;
      }
    });
    return watched;
  }

  /** State Machine Safety, of what the entries come to. */
  #isSame(node: SimNode, revision: number, digest: StateDigest): void {
    const known = this.#digests.get(revision);
    if (known === undefined) this.#digests.set(revision, digest.text);
    else if (known !== digest.text) fail(`${node.id} has another state at index ${revision}`);
  }

  #note(member: Member, revision: number, changed: Parameters<Given["note"]>[0] | undefined): void {
    if (revision <= this.#givenAt) return;
    this.#givenAt = revision;
    if (changed === undefined) this.#given = new Given();
    const [wrong] = this.#given.note(changed ?? asChanges(member.store.view));
    if (wrong !== undefined) fail(`at index ${revision} ${wrong}`);
  }

  // ---- The log --------------------------------------------------------------------------------------

  /**
   * The first time that anybody holds it to be committed, a majority of the voters has it on disk: of those that there
   * were before this event, or after, since the event may have changed them.
   */
  #committedAt(index: number, groups: readonly (readonly RaftMember[])[]): void {
    if (this.#committed.has(index)) return;
    const counts = groups.map((members) => this.#holders(index, members));
    const best = counts.find(({ have, voters }) => have * 2 > voters);
    if (best === undefined) {
      const said = counts.map(({ have, voters }) => `${have} of ${voters}`).join(", ");
      fail(`index ${index} is committed, and on ${said} disks`);
    }
    if (best.term !== 0) this.#committed.set(index, best.term);
  }

  #holders(index: number, members: readonly RaftMember[]) {
    const terms = new Map<number, number>();
    let covered = 0;
    const voters = members.filter(({ learner }) => !learner);
    for (const { nodeId } of voters) {
      // Who finds itself removed by what is committed now has wiped its disk in the same event.
      const disks = [this.nodes.get(nodeId)?.disk, this.#disks.get(nodeId)];
      const term = disks.map((disk) => disk?.termAt(index) ?? 0).find((found) => found !== 0) ?? 0;
      if (term !== 0) terms.set(term, (terms.get(term) ?? 0) + 1);
      else if (disks.some((disk) => disk?.covers(index) || disk?.isLying)) covered++;
    }
    const [term, count] = [...terms].sort(([, a], [, b]) => b - a)[0] ?? [0, 0];
    return { term, have: count + covered, voters: voters.length };
  }

  #agrees(node: SimNode, index: number, term: number): void {
    const committed = this.#committed.get(index);
    if (term === 0 || committed === undefined || term === committed) return;
    fail(`${node.id} holds index ${index} of term ${term} to be committed; it is of ${committed}`);
  }

  /** A write has become durable there. What a follower holds to be committed may be on its way to its own disk only. */
  written(node: SimNode, entries: readonly Entry[]): void {
    const watched = node.member && this.#watched.get(node.member);
    if (watched === undefined) return;
    for (const { index, term } of entries) {
      if (index <= watched.commit) this.#agrees(node, index, term);
    }
  }

  // ---- What was acknowledged ------------------------------------------------------------------------

  promise(kind: Promise_["kind"], id: string): void {
    this.#promised.set(id, { kind, id });
  }
  /** Somebody asks to take it away: from here on it may be there or not. */
  release(id: string): void {
    this.#promised.delete(id);
  }

  #keepsPromises(node: SimNode, member: Member): void {
    const { view } = member.store;
    for (const { kind, id } of this.#promised.values()) {
      if (view[kind](id) === undefined)
        fail(`${kind} ${id} was acknowledged, and ${node.id} does not have it`);
    }
  }

  // ---- Who was removed ------------------------------------------------------------------------------

  removed(nodeId: string): void {
    this.#removedAtMs.set(nodeId, this.nowMs());
  }

  told(by: Member, nodeId: string): void {
    if (by.store.view.cluster() !== undefined && by.store.view.node(nodeId) === undefined)
      fail(`${nodeId} is told something by a manager that knows it to be removed`);
    const sinceMs = this.nowMs() - (this.#removedAtMs.get(nodeId) ?? Number.POSITIVE_INFINITY);
    if (sinceMs > DEPOSED_MS) fail(`${nodeId} is told something ${sinceMs} ms after its removal`);
  }

  // ---- In the end -----------------------------------------------------------------------------------

  /** On those that have a seat then. */
  atTheEnd(nodeIds: readonly string[]): void {
    for (const id of nodeIds) {
      const node = this.nodes.get(id);
      if (node?.member !== undefined) this.#keepsPromises(node, node.member);
    }
  }
}

// A leader that was replaced and does not know it finds out when it has heard of no majority for an election timeout
// (dissertation section 6.2); by then it serves nobody.
const DEPOSED_MS = 3_000;

/** The group by which a member counts that begins with this log. */
function membersOf({ hardState, snapshot, entries }: Content): readonly RaftMember[] {
  const after = snapshot?.meta?.index ?? 0;
  let members: readonly RaftMember[] = snapshot?.meta?.conf?.members ?? [];
  for (const { index, kind, data } of entries) {
    const isApplied = index > after && index <= hardState.commit;
    if (isApplied && kind === EntryKind.CONF_CHANGE)
      members = applyChange(members, ConfChange.decode(data));
  }
  return members;
}

function fail(sentence: string): never {
  throw new Violation(`invariant violated: ${sentence}`);
}
