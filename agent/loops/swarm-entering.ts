// A node becomes a member of a swarm: of one that it makes, joins or restores. Invariant: when that is refused or
// fails on the way, nothing is left of it, here or in the swarm (`undoing`); what a crash leaves is swept up at the
// next start (swarm-leaving.ts).
import { parseHostPort } from "../../common/address.js";
import { decodeBackup } from "../../common/backup-file.js";
import { Fault, isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import { parseJoinToken } from "../../common/join-token.js";
import type { InitResponse } from "../../proto/gen/admin.js";
import { Role } from "../../proto/gen/types.js";
import { type ChosenAddresses, chooseAddresses, MANAGER_PORT } from "../member/advertise.js";
import { sentenceOf } from "../member/fault-sentence.js";
import { identityPem } from "../member/identity-pem.js";
import * as words from "../member/words.js";
import type {
  InitSwarm,
  Issued,
  JoinSwarm,
  MachineDoor,
  NodeIdentity,
  NodeRecord,
  RestoreSwarm,
} from "../seams.js";
import { ofTheirFamily } from "./data-path-family.js";
import { processState } from "./manager-process.js";
import { hostOf, joinAddresses, withPort } from "./membership-addresses.js";
import type { MembershipDeps, MembershipState } from "./membership-state.js";

/** Where the node of a new swarm is reached. */
export type Place = ChosenAddresses & { readonly dataPathPort: number };

export async function makeSwarm(
  request: InitSwarm,
  place: Place,
  state: MembershipState,
  deps: MembershipDeps,
): Promise<{ readonly nodeId: string } | Refusal> {
  const taken = portProblem(place, deps.machine);
  if (taken !== undefined) return taken;
  const { spec, defaultAddrPools, subnetSize, availability, forceNewCluster } = request;
  const wish = { spec, defaultAddrPools, subnetSize, availability, forceNewCluster };
  return undoing(undefined, state, async () => {
    const { key, asked } = await newManager(deps);
    const made = await deps.manager.init({ ...wish, ...place, ...asked });
    if (isRefusal(made)) return made;
    await commitFirst(made, place, key, state);
    return { nodeId: made.nodeId };
  });
}

export async function restoreSwarm(
  { file, key: backupKey, node, ...wanted }: RestoreSwarm,
  state: MembershipState,
  deps: MembershipDeps,
): Promise<{ readonly nodeId: string; readonly isNew: boolean } | Refusal> {
  const backup = decodeBackup(backupKey, file);
  if (isRefusal(backup)) return words.badBackup(backup);
  const { member } = state;
  if (member !== undefined) return words.restoreInSwarm(backup.clusterId, member.record.clusterId);
  const addresses = chooseAddresses(wanted, await deps.machine.addresses());
  if (isRefusal(addresses)) return addresses;
  return undoing(undefined, state, async () => {
    const { key, asked } = await newManager(deps);
    const wish = { file, key: backupKey, node };
    const restored = await deps.manager.restore({ ...wish, ...addresses, ...asked });
    if (isRefusal(restored)) return restored;
    const { made, dataPathPort, isNew } = restored;
    if (made === undefined) throw new Fault("MANAGER_ANSWER", { why: "it made no swarm" });
    const place = { ...addresses, dataPathPort };
    const taken = portProblem(place, deps.machine);
    if (taken !== undefined) return taken;
    await commitFirst(made, place, key, state);
    return { nodeId: made.nodeId, isNew };
  });
}

export async function joinSwarm(
  request: JoinSwarm,
  state: MembershipState,
  deps: MembershipDeps,
): Promise<{ readonly role: Role } | Refusal> {
  if (state.member !== undefined) return words.alreadyInSwarm();
  const wrong = wrongIn(request);
  if (wrong !== undefined) return wrong;
  const { machine, manager, door, timing } = deps;
  const chosen = await joinAddresses(request, machine);
  if (isRefusal(chosen)) return chosen;
  const { key, csr } = await door.newKey();
  const joined = await askToJoin(request, csr, chosen, deps);
  if (isRefusal(joined)) return joined;
  const { issued, remoteAddr } = joined;
  const identity = { key, certificate: issued.certificate, root: issued.root };
  const sayNo = () => giveBack(identity, remoteAddr, deps);
  return undoing(sayNo, state, async () => {
    const asked = { wanted: request.dataPathAddr, chosen, others: issued.dataPathAddr };
    const addresses = await ofTheirFamily(asked, machine.sourceTowards);
    if (isRefusal(addresses)) return addresses;
    const record: NodeRecord = {
      nodeId: issued.nodeId,
      clusterId: issued.clusterId,
      role: issued.role === Role.MANAGER ? "manager" : "worker",
      ...addresses,
      dataPathPort: issued.dataPathPort,
      managers: [{ nodeId: "", addr: remoteAddr }],
    };
    const taken = portProblem(record, machine);
    if (taken !== undefined) return taken;
    if (record.role === "manager") {
      await manager.start();
      const { listenAddr, advertiseAddr } = record;
      const own = { identity: identityPem(identity), listenAddr, advertiseAddr };
      const inGroup = await manager.join({ ...own, remoteAddr });
      if (isRefusal(inGroup)) return inGroup;
    }
    const member = await state.commit(record, identity);
    // The person who joined looks next whether the node is there: wait until it shows as ready.
    await member.openWithin(timing.dialMs / 2);
    return { role: issued.role };
  });
}

/** What can be seen without asking anybody. */
function wrongIn({ token, remoteAddrs }: JoinSwarm): Refusal | undefined {
  const parsed = parseJoinToken(token);
  if (isRefusal(parsed)) return parsed;
  if (remoteAddrs.length === 0) {
    return refuse("invalid-argument", "at least 1 RemoteAddr is required to join");
  }
  const remotes = remoteAddrs.map((addr) => parseHostPort(addr, MANAGER_PORT));
  if (!remotes.includes(undefined)) return undefined;
  return refuse("invalid-argument", `invalid remote address ${remoteAddrs.join(", ")}`);
}

/** Each remote in turn. A manager that answers "no" to the token has answered for the swarm. */
async function askToJoin(
  { availability, remoteAddrs, token }: JoinSwarm,
  csr: Uint8Array,
  addresses: ChosenAddresses,
  { door, hostname, timing }: MembershipDeps,
): Promise<{ readonly issued: Issued; readonly remoteAddr: string } | Refusal> {
  const about = { availability, hostname, remoteAddr: hostOf(addresses.advertiseAddr) };
  let last = refuse("unavailable", "no manager answered");
  for (const addr of remoteAddrs) {
    const remoteAddr = withPort(addr);
    const limit = AbortSignal.timeout(2 * timing.dialMs);
    const issued = await door.join(remoteAddr, token, csr, about, limit);
    if (!isRefusal(issued)) return { issued, remoteAddr };
    last = issued;
    if (issued.code !== "unavailable") return issued;
  }
  return last;
}

/** A manager process that waits for its seat, and what it is to be asked with for the first certificate of this node. */
async function newManager({ door, manager, hostname }: MembershipDeps) {
  const { key, csr } = await door.newKey();
  await manager.start();
  return { key, asked: { hostname, privateKey: Buffer.from(key), csr: Buffer.from(csr) } };
}

/** As the swarm's only manager. */
async function commitFirst(
  { nodeId, clusterId, certificate, rootCaCert: root }: InitResponse,
  place: Place,
  key: Uint8Array,
  state: MembershipState,
): Promise<void> {
  const managers = [{ nodeId, addr: place.advertiseAddr }];
  const record = { nodeId, clusterId, role: "manager", ...place, managers } as const;
  await state.commit(record, { key, certificate, root });
}

/** Tells the swarm that this node does not come after all, so that nobody counts with it. */
async function giveBack(
  identity: NodeIdentity,
  remoteAddr: string,
  { manager, timing, log, clock, openLink }: MembershipDeps,
): Promise<void> {
  const link = openLink(identity, () => [remoteAddr]);
  const goodbye = async () => {
    // Only a process that has a seat has something to leave.
    if ((await processState(manager)) === "running") await manager.leave(true);
    await link.leave();
  };
  const late = clock.sleep(timing.dialMs, AbortSignal.timeout(2 * timing.dialMs));
  await Promise.race([goodbye(), late]).catch((error: unknown) => {
    log.info({ err: messageOf(error) }, "could not tell the swarm that the join was given up");
  });
  link.close();
}

/** Runs `work`; a Refusal or a throw leaves nothing of it behind, here or (`sayNo`) in the swarm. */
async function undoing<T>(
  sayNo: (() => Promise<void>) | undefined,
  state: MembershipState,
  work: () => Promise<T | Refusal>,
): Promise<T | Refusal> {
  let outcome: T | Refusal;
  try {
    outcome = await work();
  } catch (error) {
    await sayNo?.();
    await state.end();
    if (!(error instanceof Fault)) throw error;
    return refuse("unavailable", sentenceOf(error));
  }
  if (isRefusal(outcome)) {
    await sayNo?.();
    await state.end();
  }
  return outcome;
}

function portProblem(
  { dataPathAddr, dataPathPort }: Pick<Place, "dataPathAddr" | "dataPathPort">,
  machine: MachineDoor,
): Refusal | undefined {
  const problem = machine.dataPortProblem(dataPathAddr, dataPathPort);
  return problem === undefined ? undefined : refuse("unavailable", problem);
}
