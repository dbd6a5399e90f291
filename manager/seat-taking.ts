// An idle manager gets a seat that its disk does not hold: it makes a swarm, joins one, or restores one.
// Invariant: it runs when all of the seat is on its disk, the identity last; whatever goes wrong before that leaves
// nothing, here or in the group that it was to join. A crash in between is as good (seat-resuming.ts).
import { readCertificate } from "../common/certificates.js";
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../common/fault.js";
import type {
  AdminStatus,
  Identity,
  InitRequest,
  InitResponse,
  JoinGroupRequest,
  RestoreRequest,
  RestoreResponse,
} from "../proto/gen/admin.js";
import type { RaftMember } from "../proto/gen/raft.js";
import { restoredSwarm } from "./backup.js";
import { refuseIdentity } from "./ca/manager-identity.js";
import { initCluster } from "./control/cluster.js";
import { requestContext } from "./loops/write.js";
import type { HeldSeat, SeatTools } from "./manager-state.js";
import type { Member } from "./member.js";
import { newSwarm } from "./new-swarm.js";
import type { ManagerIdentity } from "./seams.js";
import { askForSeat, returnSeat } from "./seat-asking.js";
import { Store } from "./store/store.js";

// Before the group has given one; its ids begin at 1.
const NO_SEAT = 0;
// Of a cluster that is not in the store yet; its first is 1 or more.
const NO_VERSION = 0;

// Choice: how often a seat that was begun is looked at.
const LOOK_MS = 5;

export async function makeSwarm(
  request: InitRequest,
  tools: SeatTools,
): Promise<InitResponse | Refusal> {
  const { state, disk, clock, random, log } = tools;
  const refusal = state.refuseUnlessIdle();
  if (refusal) return refusal;
  const made = await newSwarm(request, clock.nowMs(), random);
  if (isRefusal(made)) return made;
  const { identity, tls } = made;
  const makeCluster = (draft: Parameters<typeof initCluster>[0]) =>
    initCluster(draft, made.cluster, requestContext(clock.nowMs(), random));
  // Tried on an empty store first: a wrong pool or setting leaves nothing behind.
  const tried = new Store().draft((draft) => draft.attempt(clock.nowMs(), makeCluster));
  if (isRefusal(tried)) return tried;
  const refused = await begin(made, tools, async (seat) => {
    await disk.keys.seal(made.cluster.unlockKey, NO_VERSION);
    await disk.saveTls(tls);
    const member = await seat.start({ kind: "new", self: memberOf(identity) });
    await untilItLeads(member, tools);
    const result = await member.writer.write(makeCluster, () => true);
    if (isRefusal(result)) throw new Refused(result);
    await disk.saveIdentity(identity);
    return member;
  });
  if (refused) return refused;
  log.info({ node: identity.nodeId, addr: identity.listenAddr }, "swarm made");
  return madeOf(made);
}

export async function joinManagers(
  request: JoinGroupRequest,
  tools: SeatTools,
): Promise<AdminStatus | Refusal> {
  const { state, disk, clock, log } = tools;
  const refusal = state.refuseUnlessIdle();
  if (refusal) return refusal;
  const { identity: tls, listenAddr, advertiseAddr, remoteAddr: joinedBy } = request;
  if (!tls) return refuse("invalid-argument", "an identity is necessary");
  const wrong = refuseIdentity(tls, clock.nowMs());
  if (wrong) return wrong;
  const { nodeId, clusterId } = readCertificate(tls.certificate) ?? { nodeId: "", clusterId: "" };
  const identity = { raftId: NO_SEAT, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy };
  const refused = await begin({ identity, tls }, tools, async (seat) => {
    const seated = await askForSeat(seat, joinedBy, tools, tools.stopped);
    if (isRefusal(seated)) throw new Refused(seated);
    seat.identity = { ...identity, raftId: seated.raftId };
    await disk.keys.seal(seated.unlockKey, seated.unlockKeyVersion);
    await disk.saveTls(tls);
    const self = { ...memberOf(seat.identity), learner: true };
    const member = await seat.start({ kind: "join", self, members: seated.members });
    await disk.saveIdentity(seat.identity);
    await until(
      () => isVoter(member, seated.raftId) && member.store.view.cluster() !== undefined,
      `the leader did not bring it up to date; can it reach ${advertiseAddr}?`,
      tools,
    );
    return member;
  });
  if (refused) return refused;
  log.info({ node: nodeId, addr: listenAddr }, "joined the managers");
  return state.status();
}

export async function restoreSwarm(
  request: RestoreRequest,
  tools: SeatTools,
): Promise<RestoreResponse | Refusal> {
  const { state, disk, log } = tools;
  const refusal = state.refuseUnlessIdle();
  if (refusal) return refusal;
  const restored = await restoredSwarm(request, tools);
  if (isRefusal(restored)) return restored;
  const { identity, tls, snapshot, dataPathPort, isNew } = restored;
  const refused = await begin(restored, tools, async (seat) => {
    // What a swarm before it left, should there be something, is not to be kept aside with this one.
    await disk.erase();
    await disk.saveTls(tls);
    await disk.beginLog(snapshot);
    const member = await seat.start({ kind: "resume", raftId: identity.raftId });
    await untilItLeads(member, tools);
    await disk.saveIdentity(identity);
    return member;
  });
  if (refused) return refused;
  log.info({ node: identity.nodeId, addr: identity.listenAddr }, "swarm restored from a backup");
  return { made: madeOf(restored), dataPathPort, isNew };
}

/** On a port that is open, and with whatever `start` writes: all of it goes when that fails. */
async function begin(
  { identity, tls }: Begun,
  tools: SeatTools,
  start: (seat: HeldSeat) => Promise<Member>,
): Promise<Refusal | undefined> {
  const { state, disk, openSeat, stopped } = tools;
  const seat = await openSeat(identity, tls);
  if (isRefusal(seat)) return seat;
  try {
    state.become({ kind: "running", seat, member: await start(seat) });
    return undefined;
  } catch (error) {
    const { joinedBy, raftId } = seat.identity;
    const isTheGroups = joinedBy !== "" && raftId !== NO_SEAT;
    if (isTheGroups) await returnSeat(seat, joinedBy, tools, stopped);
    await seat.close();
    await disk.erase();
    return asRefusal(error);
  }
}

/** What a person can do something about; all else is thrown on. */
function asRefusal(error: unknown): Refusal {
  if (error instanceof Refused) return error.refusal;
  if (error instanceof Fault && error.code === "DISK_FULL") {
    return refuse("resource-exhausted", "the manager's disk is full");
  }
  throw error;
}

interface Begun {
  readonly identity: ManagerIdentity;
  readonly tls: Identity;
}

function madeOf({ identity, tls }: Begun): InitResponse {
  const { nodeId, clusterId } = identity;
  const { certificate, rootCaCert } = tls;
  return { nodeId, clusterId, certificate, rootCaCert };
}

function untilItLeads(member: Member, tools: SeatTools): Promise<void> {
  return until(() => member.leadership.leader().kind === "self", "it does not lead", tools);
}

async function until(
  condition: () => boolean,
  otherwise: string,
  { clock, timing, stopped }: SeatTools,
): Promise<void> {
  const endMs = clock.monotonicMs() + 2 * timing.requestMs;
  while (!condition()) {
    if (clock.monotonicMs() > endMs) {
      throw new Refused(refuse("unavailable", `the manager could not start: ${otherwise}`));
    }
    await clock.sleep(LOOK_MS, stopped);
  }
}

function memberOf({ raftId, nodeId, advertiseAddr }: ManagerIdentity): RaftMember {
  return { raftId, nodeId, addr: advertiseAddr, learner: false };
}

function isVoter(member: Member, raftId: number): boolean {
  return member.consensus.status().members.some((each) => each.raftId === raftId && !each.learner);
}
