// A manager becomes the only one of its swarm, with what it holds: when the quorum is lost for good, or its log is
// damaged (docs/recovery.md). What is decided is in control/recovery.ts; seat-resuming.ts gives the seat up and takes it again.
import { readCertificate } from "../common/certificates.js";
import type { Clock } from "../common/clock.js";
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../common/fault.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import type { Identity, RecoverRequest, RecoverResponse } from "../proto/gen/admin.js";
import type { RaftMember } from "../proto/gen/raft.js";
import { type Node, NodeState, Role } from "../proto/gen/types.js";
import { begunAnew, replayed } from "./control/recovery.js";
import { failureSentence } from "./failure-words.js";
import { stillSeated } from "./loops/seat-doubt.js";
import type { Member } from "./member.js";
import type { LeaderLink, ManagerDisk, ManagerIdentity, Salvaged } from "./seams.js";

export interface RecoveryTools {
  readonly disk: ManagerDisk;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
}

export interface Recovering {
  /** With the seat that is held, as far as that is known. */
  readonly identity: ManagerIdentity;
  readonly tls: Identity;
}

/** As the agent says it: what the manager keeps of it may be damaged as well. */
export function recoveringOf(
  { identity: tls, listenAddr, advertiseAddr }: RecoverRequest,
  held: ManagerIdentity | undefined,
): Recovering | Refusal {
  const facts = tls && readCertificate(tls.certificate);
  if (!tls || !facts) return refuse("invalid-argument", "an identity is necessary");
  const { nodeId, clusterId } = facts;
  const raftId = held?.raftId ?? UNKNOWN_SEAT;
  const identity = { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy: "" };
  return { identity, tls };
}

/** Undefined when there is none that can be read. */
export function heldIdentity(disk: ManagerDisk): Promise<ManagerIdentity | undefined> {
  return disk.loadIdentity().catch(() => undefined);
}

/** What the disk says no to, in words for a person. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refused) return error.refusal;
  if (!(error instanceof Fault)) throw error;
  return refuse("failed-precondition", failureSentence(error));
}

// Of a seat whose file cannot be read; no seat has it but by one chance in 2^48.
const UNKNOWN_SEAT = 1;
// As for the first member of a swarm (new-swarm.ts).
const RAFT_ID_LIMIT = 2 ** 48 - 1;

/** What it comes to, or why it may not be; nothing is changed. */
export async function planRecovery(
  identity: ManagerIdentity,
  link: (addr: string) => LeaderLink,
  tools: RecoveryTools,
): Promise<RecoverResponse | Refusal> {
  const { stored, damage } = await tools.disk.salvage();
  const { store, members, last } = replayed(stored);
  const { nodeId, raftId } = identity;
  if (store.view.cluster() === undefined) {
    return refuse("failed-precondition", "what can be read of the log holds no swarm");
  }
  if (store.view.node(nodeId) === undefined) return refuse("failed-precondition", notInIt(nodeId));
  const lost = members.filter((member) => member.nodeId !== nodeId);
  const generation = store.view.cluster()?.generation ?? 0;
  const refusal = await refuseIfLed({ raftId, generation, lost, link }, tools);
  return refusal ?? responseOf(nodeId, last, lost, damage);
}

/** A refusal when the seat still has a quorum; `true` when it is alone, and works. */
export async function whyNotRunning(
  member: Member,
  tools: RecoveryTools,
): Promise<Refusal | true | undefined> {
  if (!(await answersAsQuorum(member, tools))) return undefined;
  const { members, raftId, leaderId } = member.consensus.status();
  const voters = members.filter(({ learner }) => !learner);
  if (voters.length === 1 && voters[0]?.raftId === raftId) return true;
  const leader = members.find((each) => each.raftId === leaderId);
  const who = leader ? ` Its leader is at ${leader.addr}.` : "";
  return refuse(
    "failed-precondition",
    `the swarm has a quorum: most of its ${voters.length} managers answer, and there is nothing to recover.${who} A manager that is gone for good is taken out with \`skein node demote\` and \`skein node rm\`.`,
  );
}

/** Makes the log one of a group of one. When it fails before that, everything is as it was. */
export async function recoverLog(
  { identity, tls }: Recovering,
  tools: RecoveryTools,
): Promise<RecoverResponse | Refusal> {
  const { disk, clock, random } = tools;
  const { stored, damage } = await disk.salvage();
  const { store, members, last } = replayed(stored);
  const { nodeId, advertiseAddr: addr } = identity;
  const raftId = random.below(RAFT_ID_LIMIT) + 1;
  const self: RaftMember = { raftId, nodeId, addr, learner: false };
  const nowMs = clock.nowMs();
  const snapshot = begunAnew({ store, last }, { nowMs, self, node: asManager });
  if (isRefusal(snapshot)) return snapshot;
  await disk.saveTls(tls);
  await disk.saveIdentity({ ...identity, recoversAs: raftId });
  const keptAside = await disk.beginLog(snapshot);
  await disk.saveIdentity({ ...identity, raftId });
  const lost = members.filter((member) => member.nodeId !== nodeId);
  return { ...responseOf(nodeId, last, lost, damage), keptAside };
}

/** After a crash in the middle of it: the seat is the one that the log has. */
export async function settledIdentity(
  identity: ManagerIdentity,
  disk: ManagerDisk,
): Promise<ManagerIdentity> {
  const { recoversAs, ...settled } = identity;
  if (recoversAs === undefined) return identity;
  const { stored } = await disk.salvage();
  const members = stored.snapshot?.meta?.conf?.members ?? [];
  const begun = members.some(({ raftId }) => raftId === recoversAs);
  const after = begun ? { ...settled, raftId: recoversAs } : settled;
  await disk.saveIdentity(after);
  return after;
}

function responseOf(
  nodeId: string,
  last: { readonly index: number; readonly term: number },
  lost: readonly RaftMember[],
  damage: Salvaged["damage"],
): RecoverResponse {
  return { nodeId, isWhole: false, ...last, lost, damage, keptAside: "" };
}

function asManager(known: Node | undefined): Node {
  if (known === undefined) throw new Fault("NODE_MISSING");
  return {
    ...known,
    ...(known.spec && { spec: { ...known.spec, role: Role.MANAGER } }),
    role: Role.MANAGER,
    state: NodeState.READY,
    message: "",
    silent: false,
  };
}

async function answersAsQuorum(
  { consensus }: Member,
  { clock, timing }: RecoveryTools,
): Promise<boolean> {
  const late = new AbortController();
  const read = consensus.readBarrier(late.signal).then(
    () => true,
    () => false,
  );
  const timeout = clock.sleep(timing.dialMs, late.signal).then(
    () => false,
    () => false,
  );
  const answered = await Promise.race([read, timeout]);
  late.abort(new Fault("STOPPED"));
  return answered;
}

/** Whether the others have a leader, by the word of any of them: then the swarm lives, with this manager or without. */
async function refuseIfLed(
  asked: Omit<Parameters<typeof stillSeated>[0], "addrs" | "signal"> & {
    readonly lost: readonly RaftMember[];
  },
  { clock, timing }: RecoveryTools,
): Promise<Refusal | undefined> {
  const { lost, ...question } = asked;
  const late = new AbortController();
  const timer = clock.sleep(timing.dialMs, late.signal).then(
    () => late.abort(new Fault("NO_ANSWER")),
    () => {},
  );
  const addrs = lost.map(({ addr }) => addr);
  const seated = await stillSeated({ ...question, addrs, signal: late.signal }).catch(
    () => undefined,
  );
  late.abort(new Fault("STOPPED"));
  await timer;
  if (seated === undefined) return undefined;
  const what = seated
    ? "the other managers have a leader, and this manager's seat is still there"
    : "the other managers go on without this one";
  return refuse(
    "failed-precondition",
    `the swarm has a quorum: ${what}. What this manager holds is no longer the swarm's: leave with \`skein swarm leave --force\`, and join again.`,
  );
}

function notInIt(nodeId: string): string {
  return `what can be read of the log does not have this node (${nodeId}): it was removed, or the log ends before it joined`;
}
