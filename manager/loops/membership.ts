// Who has a seat in the Raft group: managers ask to come and to go, and the leader brings the group in
// line with the roles that people gave to nodes.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import {
  ConfChangeKind,
  type RaftHasSeatRequest,
  type RaftHasSeatResponse,
  type RaftJoinRequest,
  type RaftJoinResponse,
  type RaftLeaveRequest,
  type RaftMember,
  type RaftReport,
  type RaftSetAddrRequest,
} from "../../proto/gen/raft.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { isBarred, removedWords } from "../ca/barred.js";
import { clearManagerMember, setManagerMember } from "../control/membership.js";
import { forgetUnheard } from "../control/node.js";
import type { Caller, Consensus, MembershipApi } from "../seams.js";
import type { Store } from "../store/store.js";
import type { Draft } from "../store/view.js";
import { quorumLoss } from "./quorum.js";
import type { Router } from "./route.js";
import type { Writer } from "./write.js";

// RaftMember.raft_id is a number that JavaScript holds exactly; 2^48 makes a second use of one that was
// removed as good as impossible.
const RAFT_ID_LIMIT = 2 ** 48 - 1;
// Choice: the size that Docker and etcd recommend not to exceed.
const MEMBERS_MAX = 7;

export interface MembershipOptions {
  readonly store: Store;
  readonly consensus: Consensus<unknown>;
  readonly writer: Writer;
  readonly router: Router;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly clusterId: string;
  /** Where this manager is reached. */
  readonly advertiseAddr: string;
  /** Where others are reached that are not where the log says, by raft id. */
  readonly believed: () => ReadonlyMap<number, string>;
  readonly report: () => RaftReport;
}

export function membershipApi(options: MembershipOptions): MembershipApi {
  const { router } = options;
  // One after the other: two questions of one node at once would give it two seats.
  let joins: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = joins.then(work, work);
    joins = done.catch(() => {});
    return done;
  };
  // The manager that let the caller in may have known less than the leader does.
  const unlessBarred = async <T>(nodeId: string, work: () => Promise<T | Refusal>) => {
    const cluster = options.store.view.cluster();
    const out = cluster !== undefined && isBarred(cluster, nodeId);
    return out ? refuse("permission-denied", removedWords(nodeId)) : work();
  };
  return {
    join: (request, caller) =>
      router.onLeader(
        caller,
        () => {
          const nodeId = askerOf(request.nodeId, caller);
          const { signal } = caller;
          return inTurn(() => unlessBarred(nodeId, () => join(options, request, nodeId, signal)));
        },
        ({ membership }, routed) =>
          membership.join({ ...request, nodeId: askerOf(request.nodeId, caller) }, routed),
      ),
    leave: (request, caller) =>
      router.onLeader(
        caller,
        () => {
          const nodeId = askerOf(request.nodeId, caller);
          return unlessBarred(nodeId, () => leave(options, request, nodeId, caller.signal));
        },
        ({ membership }, routed) =>
          membership.leave({ ...request, nodeId: askerOf(request.nodeId, caller) }, routed),
      ),
    setAddr: (request, caller) =>
      router.onLeader(
        caller,
        () => setAddr(options, request, caller),
        ({ membership }, routed) => membership.setAddr(request, routed),
      ),
    report: async () => options.report(),
    hasSeat: (request, caller) =>
      router.onLeader(
        caller,
        () => {
          const nodeId = askerOf(request.nodeId, caller);
          return unlessBarred(nodeId, () => hasSeat(options, request, nodeId, caller.signal));
        },
        ({ membership }, routed) =>
          membership.hasSeat({ ...request, nodeId: askerOf(request.nodeId, caller) }, routed),
      ),
  };
}

/** The caller's own id; another's only when a manager, or this process itself, speaks for it. */
function askerOf(claimed: string, caller: Caller): string {
  return (caller.local || caller.forwarded) && claimed !== ""
    ? claimed
    : (caller.peer?.nodeId ?? "");
}

async function join(
  options: MembershipOptions,
  { addr }: RaftJoinRequest,
  nodeId: string,
  signal: AbortSignal,
): Promise<RaftJoinResponse | Refusal> {
  const { store, consensus, random, clusterId } = options;
  signal.throwIfAborted();
  const node = store.view.node(nodeId);
  if (node?.spec?.role !== Role.MANAGER) {
    return refuse("permission-denied", `node ${nodeId} is not wanted as a manager`);
  }
  for (const known of seatsOf(consensus, nodeId)) {
    // Who asks for a seat has no log: the seat that it had is gone for good. Under its old number the leader would
    // wait for a follower that had acknowledged more than it has now, and a voter could vote twice.
    const refusal = await removeMember(options, known, signal);
    if (refusal) return refusal;
  }
  await removeGhost(options, addr, signal);
  if (consensus.status().members.length >= MEMBERS_MAX) {
    return refuse("failed-precondition", `the swarm has ${MEMBERS_MAX} managers already`);
  }
  const member = { raftId: random.below(RAFT_ID_LIMIT) + 1, nodeId, addr, learner: true };
  await consensus.changeMembers({ kind: ConfChangeKind.ADD_LEARNER, member }, signal);
  const cluster = store.view.cluster();
  return {
    raftId: member.raftId,
    members: consensus.status().members,
    clusterId,
    unlockKey: cluster?.unlockKey ?? Buffer.alloc(0),
    unlockKeyVersion: cluster?.meta?.version ?? 0,
  };
}

function notSeated(nodeId: string): string {
  return `node ${nodeId} is not a manager: a worker says itself where it is, by "skein node set-addr self ADDR" there`;
}

/** A person's word, by any manager. The member itself is believed later if it says otherwise. */
async function setAddr(
  { consensus }: MembershipOptions,
  { nodeId, addr }: RaftSetAddrRequest,
  caller: Caller,
): Promise<Record<string, never> | Refusal> {
  if (!caller.local && !caller.forwarded) {
    return refuse("permission-denied", "a manager is asked on its node's own socket");
  }
  const [member] = seatsOf(consensus, nodeId);
  if (member === undefined) return refuse("not-found", notSeated(nodeId));
  const change = { kind: ConfChangeKind.UPDATE_ADDR, member: { ...member, addr } };
  if (member.addr !== addr) await consensus.changeMembers(change, caller.signal);
  return {};
}

/** From what a majority agrees on now: a leader that has been replaced and does not know it says nothing. */
async function hasSeat(
  { consensus, store }: MembershipOptions,
  { raftId, generation }: RaftHasSeatRequest,
  nodeId: string,
  signal: AbortSignal,
): Promise<RaftHasSeatResponse | Refusal> {
  await consensus.readBarrier(signal);
  if (generation > (store.view.cluster()?.generation ?? 0)) {
    return refuse("unavailable", "the swarm was begun anew without this manager");
  }
  const seated = seatsOf(consensus, nodeId).some((member) => member.raftId === raftId);
  // Who hears that its seat is gone forgets its log: not before nobody could need it again.
  if (!seated && !consensus.status().removalsFinal) {
    return refuse("unavailable", "its seat is being taken away");
  }
  return { seated };
}

/**
 * A machine that fell in the middle of its join, and now joins as another node, has left a learner at its
 * address that will never answer, and a node that was never heard. A voter is not touched: whether it is
 * gone for good is a person's to say.
 */
async function removeGhost(
  { consensus, writer, log }: MembershipOptions,
  addr: string,
  signal: AbortSignal,
): Promise<void> {
  const ghost = consensus.status().members.find((each) => each.learner && each.addr === addr);
  if (ghost === undefined) return;
  await consensus.changeMembers({ kind: ConfChangeKind.REMOVE, member: ghost }, signal);
  log.info({ node: ghost.nodeId, addr }, "a join that was never finished is forgotten");
  await writer.write(
    (draft, nowMs) => forgetUnheard(draft, ghost.nodeId, nowMs),
    () => true,
  );
}

async function leave(
  options: MembershipOptions,
  { seatOnly, force }: RaftLeaveRequest,
  nodeId: string,
  signal: AbortSignal,
): Promise<Record<string, never> | Refusal> {
  const { consensus, writer } = options;
  for (const member of seatsOf(consensus, nodeId)) {
    const refusal = await removeMember(options, member, signal, force);
    if (refusal) return refusal;
  }
  const done = await writer.write(
    (draft, nowMs) => {
      retire(draft, nodeId, !seatOnly);
      forgetUnheard(draft, nodeId, nowMs);
    },
    () => ({}),
  );
  return done;
}

/** Refused if the rest would have no quorum, unless a person insists (`force`). A leader that is to go hands over first (Fault NOT_LEADER). */
async function removeMember(
  { store, consensus, log }: MembershipOptions,
  member: RaftMember,
  signal: AbortSignal,
  force = false,
): Promise<Refusal | undefined> {
  if (!member.learner && !force) {
    const name = store.view.node(member.nodeId)?.description?.hostname || member.nodeId;
    const loss = quorumLoss(consensus, member.raftId, name);
    if (loss !== undefined) return refuse("failed-precondition", loss);
  }
  const status = consensus.status();
  if (member.raftId === status.raftId) {
    const heir = status.members.find(
      ({ raftId, learner }) => !learner && raftId !== status.raftId && consensus.reachable(raftId),
    );
    if (!heir) return refuse("failed-precondition", "no other manager can take over the lead");
    await consensus.transferLeadership(heir.raftId, signal);
    throw new Fault("NOT_LEADER");
  }
  try {
    await consensus.changeMembers({ kind: ConfChangeKind.REMOVE, member }, signal);
  } catch (error) {
    // It asked to leave while the leader was removing it, or the other way round.
    const { members } = consensus.status();
    if (members.some(({ raftId }) => raftId === member.raftId)) throw error;
  }
  log.info({ node: member.nodeId, raftId: member.raftId }, "manager removed from the raft group");
  return undefined;
}

/** The node is a worker again, as far as the store is concerned; its agent reads it in its NodeUpdate. */
function retire(draft: Draft, nodeId: string, forGood: boolean): Node | undefined {
  const node = clearManagerMember(draft, nodeId);
  if (!node) return undefined;
  const unwanted = forGood && node.spec?.role === Role.MANAGER;
  if (node.role === Role.WORKER && !unwanted) return node;
  const spec = node.spec && unwanted ? { ...node.spec, role: Role.WORKER } : node.spec;
  draft.update("node", { ...node, spec, role: Role.WORKER });
  return draft.node(nodeId);
}

function seatsOf(consensus: Consensus<unknown>, nodeId: string): readonly RaftMember[] {
  return consensus.status().members.filter((member) => member.nodeId === nodeId);
}

// Choice: learners are looked at often, because someone waits for a join; the rest as a safety net.
const LEARNER_POLL_MS = 10;
const POLL_MS = 1_000;

/** The leader's part: runs while `term` lasts. What fails is tried again at the next look. */
export async function alignMembers(options: MembershipOptions, term: AbortSignal): Promise<void> {
  const { store, consensus, clock, log } = options;
  const look = { again: new AbortController() };
  const note = () => look.again.abort();
  const unsubscribes = [store.changes.subscribe(note), consensus.changed.subscribe(note)];
  term.addEventListener("abort", note, { once: true });
  try {
    while (!term.aborted) {
      look.again = new AbortController();
      try {
        await alignOnce(options, term);
      } catch (error) {
        if (term.aborted) return;
        const notLeading = error instanceof Fault && error.code === "NOT_LEADER";
        if (!notLeading) log.warn({ err: messageOf(error) }, "could not align the raft group");
      }
      const learning = consensus.status().members.some(({ learner }) => learner);
      const pauseMs = learning ? LEARNER_POLL_MS : POLL_MS;
      await clock.sleep(pauseMs, look.again.signal).catch(() => {});
    }
  } finally {
    for (const unsubscribe of unsubscribes) unsubscribe();
    term.removeEventListener("abort", note);
  }
}

/**
 * Invariants: who is not wanted gets no vote; who votes is written down in the store before it votes, and stands
 * there until it votes no more. So a node that reads that it has no seat, and is no manager, may forget its log.
 */
async function alignOnce(options: MembershipOptions, term: AbortSignal): Promise<void> {
  const { store, consensus, writer, log } = options;
  // A bootstrap entry precedes the first node; nobody is removed before there is a swarm.
  if (!store.view.cluster()) return;
  const isWanted = ({ nodeId }: RaftMember) => store.view.node(nodeId)?.spec?.role === Role.MANAGER;
  const write = (request: (draft: Draft) => Node | Refusal | undefined) =>
    writer.write(
      (draft) => {
        const result = request(draft);
        return isRefusal(result) ? result : true;
      },
      () => true,
    );
  for (const member of moved(options)) {
    await consensus.changeMembers({ kind: ConfChangeKind.UPDATE_ADDR, member }, term);
    log.info({ node: member.nodeId, addr: member.addr }, "manager has another address");
  }
  const { raftId: own, members } = consensus.status();
  for (const member of selfLast(members, own)) {
    if (isWanted(member)) continue;
    await removeMember(options, member, term, store.view.node(member.nodeId)?.seatForced);
  }
  const ready = consensus.caughtUpLearners().filter(isWanted);
  const voters = consensus.status().members.filter(({ learner }) => !learner);
  for (const member of [...voters, ...ready]) {
    const node = store.view.node(member.nodeId);
    if (isWanted(member) && node && !isRecorded(node, member)) {
      await write((draft) => seat(draft, member));
    }
  }
  for (const member of ready) {
    await consensus.changeMembers({ kind: ConfChangeKind.PROMOTE, member }, term);
    log.info({ node: member.nodeId, raftId: member.raftId }, "manager promoted to voter");
  }
  for (const node of [...store.view.managers()]) {
    const held = seatsOf(consensus, node.id);
    const gone = node.manager && !held.some(({ raftId }) => raftId === node.manager?.raftId);
    const unwanted = node.spec?.role !== Role.MANAGER && node.role === Role.MANAGER;
    if (!gone && !(unwanted && held.length === 0)) continue;
    await write((draft) => retire(draft, node.id, false));
  }
}

/** Who is heard from elsewhere than the log says, and this manager itself; with the address that is right now. */
function moved({ consensus, advertiseAddr, believed }: MembershipOptions): readonly RaftMember[] {
  const { raftId: own, members } = consensus.status();
  return members.flatMap((member) => {
    const said = member.raftId === own ? advertiseAddr : believed().get(member.raftId);
    const isNews = said !== undefined && said !== member.addr && consensus.reachable(member.raftId);
    return isNews ? [{ ...member, addr: said }] : [];
  });
}

/** A leader that is to go hands over, and does nothing more after that. */
function selfLast(members: readonly RaftMember[], own: number): readonly RaftMember[] {
  return [...members].sort((a, b) => Number(a.raftId === own) - Number(b.raftId === own));
}

function isRecorded(node: Node, member: RaftMember): boolean {
  const same = node.manager?.raftId === member.raftId && node.manager.addr === member.addr;
  return same && node.role === Role.MANAGER;
}

function seat(draft: Draft, member: RaftMember): Node | Refusal {
  const node = setManagerMember(draft, member);
  if (!("id" in node) || node.role === Role.MANAGER) return node;
  draft.update("node", { ...node, role: Role.MANAGER });
  return node;
}
