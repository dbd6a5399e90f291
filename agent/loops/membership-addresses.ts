// Where this node, and the managers of its swarm, are reached: as a person says it, when a swarm is joined and later.
import { formatHostPort, isDialable, parseHostPort } from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { type ChosenAddresses, chooseAddresses, MANAGER_PORT } from "../member/advertise.js";
import { advertisedAt } from "../member/set-address.js";
import * as words from "../member/words.js";
import type { AddrSet, JoinSwarm, MachineDoor, ManagerHost, NodeRecord } from "../seams.js";
import type { Member } from "./member.js";
import type { MembershipDeps } from "./membership-state.js";

export async function joinAddresses(
  request: JoinSwarm,
  door: MachineDoor,
): Promise<ChosenAddresses | Refusal> {
  const machine = await door.addresses();
  if (request.advertiseAddr !== "") return chooseAddresses(request, machine);
  // The address that the machine itself uses towards the swarm is the one that the swarm can use back.
  for (const remote of request.remoteAddrs) {
    const target = parseHostPort(remote, MANAGER_PORT);
    const source = target && (await door.sourceTowards(target.host));
    if (source === undefined) continue;
    const listen = parseHostPort(request.listenAddr || "0.0.0.0", MANAGER_PORT);
    const wild = listen === undefined || listen.host === "0.0.0.0" || listen.host === "::";
    return chooseAddresses({ ...request, advertiseAddr: wild ? source : "" }, machine);
  }
  const chosen = chooseAddresses(request, machine);
  // Not the addresses of this machine are what is wrong, but the one that was given.
  return isRefusal(chosen) ? words.noWayTo(request.remoteAddrs) : chosen;
}

/** The record with what the daemon was started with now, which is newer than what it joined with. */
export async function asStarted(
  record: NodeRecord,
  { advertiseAddr, nodeDisk, machine, log }: MembershipDeps,
): Promise<NodeRecord> {
  if (advertiseAddr === "") return record;
  const addresses = await advertised(record, advertiseAddr, machine);
  if (isRefusal(addresses)) {
    log.warn({ why: addresses.message, advertiseAddr }, "--advertise-addr is not followed");
    return record;
  }
  const moved = { ...record, ...addresses };
  if (moved.advertiseAddr !== record.advertiseAddr) await nodeDisk.save(moved);
  return moved;
}

/** Where this node, or a manager of its swarm, is reached from now on; `addr` with or without a port. */
export async function setAddr(
  { nodeId, addr }: { readonly nodeId: string; readonly addr: string },
  member: Member,
  { manager, machine }: { readonly manager: ManagerHost; readonly machine: MachineDoor },
): Promise<AddrSet | Refusal> {
  const { record } = member;
  if (nodeId === record.nodeId) {
    const addresses = await advertised(record, addr, machine);
    if (isRefusal(addresses)) return addresses;
    member.setAddresses(addresses);
    return { addr: addresses.advertiseAddr, hereOnly: false };
  }
  const target = parseHostPort(addr, MANAGER_PORT);
  const dialled = target && formatHostPort(target);
  if (dialled === undefined || !isDialable(dialled)) {
    return refuse("invalid-argument", `${addr} is no address of a manager`);
  }
  if (record.role === "manager" && manager.started) {
    const set = await manager.setAddr({ nodeId, addr: dialled, listenAddr: "" });
    return isRefusal(set) ? set : { addr: dialled, ...set };
  }
  if (member.setManagerAddr(nodeId, dialled)) return { addr: dialled, hereOnly: true };
  return refuse("not-found", `node ${nodeId} is no manager that this node knows`);
}

async function advertised(
  record: NodeRecord,
  addr: string,
  door: MachineDoor,
): Promise<ChosenAddresses | Refusal> {
  const machine = await door.addresses();
  const chosen = chooseAddresses(
    { listenAddr: "", advertiseAddr: withPort(addr, record.advertiseAddr), dataPathAddr: "" },
    machine,
  );
  if (isRefusal(chosen)) return chosen;
  const isOwn = (host: string) => machine.some(({ address }) => address === host);
  const { listenAddr, advertiseAddr, dataPathAddr } = record;
  const had = { listenAddr, advertiseAddr, dataPathAddr };
  return advertisedAt(had, chosen.advertiseAddr, isOwn);
}

export function hostOf(addr: string): string {
  return parseHostPort(addr, MANAGER_PORT)?.host ?? addr;
}

/** With the port of `like`, or the managers' own. */
export function withPort(addr: string, like = ""): string {
  const port = parseHostPort(like, MANAGER_PORT)?.port ?? MANAGER_PORT;
  const parsed = parseHostPort(addr, port);
  return parsed === undefined ? addr : formatHostPort(parsed);
}
