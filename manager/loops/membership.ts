// Who has a seat in the Raft group: managers ask to come and to go, and the leader brings the group in
// line with the roles that people gave to nodes.
import type { Clock } from "../../common/clock.js";
import { Fault, messageOf, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import {
  ConfChangeKind,
  type RaftJoinRequest,
  type RaftJoinResponse,
  type RaftLeaveRequest,
  type RaftMember,
} from "../../proto/gen/raft.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { clearManagerMember, setManagerMember } from "../control/membership.js";
import { forgetUnheard } from "../control/node.js";
import type { Caller, Consensus, MembershipApi } from "../seams.js";
import type { Store } from "../store/store.js";
import type { Draft } from "../store/view.js";
import { keepsQuorum } from "./quorum.js";
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
}

export function membershipApi(options: MembershipOptions): MembershipApi {
  const { router } = options;
  return {
    join: (request, caller) =>
      router.onLeader(
        caller,
        () => join(options, request, askerOf(request.nodeId, caller), caller.signal),
        ({ membership }, routed) =>
          membership.join({ ...request, nodeId: askerOf(request.nodeId, caller) }, routed),
      ),
    leave: (request, caller) =>
      router.onLeader(
        caller,
        () => leave(options, request, askerOf(request.nodeId, caller), caller.signal),
        ({ membership }, routed) =>
          membership.leave({ ...request, nodeId: askerOf(request.nodeId, caller) }, routed),
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
  const node = store.view.node(nodeId);
  if (node?.spec?.role !== Role.MANAGER) {
    return refuse("permission-denied", `node ${nodeId} is not wanted as a manager`);
  }
  const known = memberOf(consensus, nodeId);
  const answer = (raftId: number): RaftJoinResponse => ({
    raftId,
    members: consensus.status().members,
    clusterId,
  });
  if (known?.addr === addr) return answer(known.raftId);
  if (known) {
    const member = { ...known, addr };
    await consensus.changeMembers({ kind: ConfChangeKind.UPDATE_ADDR, member }, signal);
    return answer(known.raftId);
  }
  await removeGhost(options, addr, signal);
  if (consensus.status().members.length >= MEMBERS_MAX) {
    return refuse("failed-precondition", `the swarm has ${MEMBERS_MAX} managers already`);
  }
  const member = { raftId: random.below(RAFT_ID_LIMIT) + 1, nodeId, addr, learner: true };
  await consensus.changeMembers({ kind: ConfChangeKind.ADD_LEARNER, member }, signal);
  return answer(member.raftId);
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
  { seatOnly }: RaftLeaveRequest,
  nodeId: string,
  signal: AbortSignal,
): Promise<Record<string, never> | Refusal> {
  const { consensus, writer } = options;
  const member = memberOf(consensus, nodeId);
  if (member) {
    const refusal = await removeMember(options, member, signal);
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

/** Refused if the rest would have no quorum. A leader that is to go hands over first (Fault NOT_LEADER). */
async function removeMember(
  { consensus, log }: MembershipOptions,
  member: RaftMember,
  signal: AbortSignal,
): Promise<Refusal | undefined> {
  if (!member.learner && !keepsQuorum(consensus, member.raftId)) {
    const why = "can't remove member from the raft: this would result in a loss of quorum";
    return refuse("failed-precondition", why);
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

function memberOf(consensus: Consensus<unknown>, nodeId: string): RaftMember | undefined {
  return consensus.status().members.find((member) => member.nodeId === nodeId);
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

async function alignOnce(options: MembershipOptions, term: AbortSignal): Promise<void> {
  const { store, consensus, writer, log } = options;
  for (const member of consensus.caughtUpLearners()) {
    await consensus.changeMembers({ kind: ConfChangeKind.PROMOTE, member }, term);
    log.info({ node: member.nodeId, raftId: member.raftId }, "manager promoted to voter");
  }
  for (const member of consensus.status().members) {
    const node = store.view.node(member.nodeId);
    // A bootstrap entry precedes the first node; nobody is removed before there is a swarm.
    if (!store.view.cluster()) return;
    if (node?.spec?.role !== Role.MANAGER) {
      await removeMember(options, member, term);
      continue;
    }
    if (member.learner || isRecorded(node, member)) continue;
    await writer.write(
      (draft) => seat(draft, member),
      () => true,
    );
  }
  const seated = new Set(consensus.status().members.map(({ nodeId }) => nodeId));
  for (const node of store.view.nodes()) {
    const wanted = node.spec?.role === Role.MANAGER;
    const stale = node.manager !== undefined || (!wanted && node.role === Role.MANAGER);
    if (seated.has(node.id) || !stale) continue;
    await writer.write(
      (draft) => retire(draft, node.id, false),
      () => true,
    );
  }
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
