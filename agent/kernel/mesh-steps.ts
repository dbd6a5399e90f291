// The steps on the routing mesh's way in, in the machine's namespace, and on the way back in a sandbox.
import type { Family, Ip } from "../../common/address.js";
import { formatIp } from "../../common/address.js";
import { EEXIST, ENOENT } from "../../common/errno.js";
import { Fault } from "../../common/fault.js";
import { deleteNeighbour, putNeighbour } from "../netlink/neighbour.js";
import { putLocalRoute, putRoute } from "../netlink/route.js";
import { decodeRoutingRule, deleteRule, dumpRules, putRule } from "../netlink/rule.js";
import { NetlinkWriter } from "../netlink/writer.js";
import {
  type MeshEnd,
  RETURN_MAC,
  RETURN_TABLE,
  type ReturnPath,
  returnGateway,
  returnRules,
  ruleKey,
} from "../reconcile/mesh-want.js";
import type { DropNeighbours, PutNeighbours } from "../reconcile/step.js";
import { NetlinkError, type NetlinkSocket } from "./netlink-socket.js";
import { findLink, mustLink } from "./network-steps.js";
import type { Places } from "./places.js";

export function putNeighbours({ underlay }: Places, step: PutNeighbours): void {
  const { ifindex } = mustLink(underlay.socket, step.device);
  const writer = new NetlinkWriter();
  for (const [ip, mac] of step.rows) putNeighbour(writer, ifindex, ip, mac);
  const failure = underlay.socket.batch(writer)[0];
  if (failure === undefined) return;
  const row = step.rows[failure.index]?.join(" ");
  throw new Fault("ROW_REFUSED", { row }, new NetlinkError(failure.errno, failure.text));
}

/** With the device, its rows are gone. */
export function dropNeighbours({ underlay }: Places, step: DropNeighbours): void {
  const link = findLink(underlay.socket, step.device);
  if (link === undefined) return;
  const writer = new NetlinkWriter();
  for (const ip of step.ips) deleteNeighbour(writer, link.ifindex, ip);
  const failure = underlay.socket.batch(writer).find(({ errno }) => errno !== ENOENT);
  if (failure !== undefined)
    throw new Fault("ROW_REFUSED", {}, new NetlinkError(failure.errno, failure.text));
}

/**
 * What asked from ::1 hears the answer by the mesh. IPv4 has a setting for that (route_localnet); IPv6 looks for
 * ::1 strictly on the interface that a packet came by, and has dropped one that was sent there as such before.
 */
export function admitLoopback(host: NetlinkSocket, ifindex: number, { subnets }: MeshEnd): void {
  if (!subnets.some(({ ip }) => ip.family === 6)) return;
  host.request((to) => putLocalRoute(to, { family: 6, value: 1n }, ifindex));
}

/** The table and its rules are all ours: what else is found there goes. */
export function putReturn(inside: NetlinkSocket, ifindex: number, path: ReturnPath): void {
  for (const family of path.families) {
    const gateway = returnGateway(family);
    inside.request((to) => putNeighbour(to, ifindex, formatIp(gateway), RETURN_MAC));
    inside.request((to) =>
      putRoute(to, { prefix: everywhere(family), gateway, ifindex, table: RETURN_TABLE }),
    );
  }
  const wanted = new Map(returnRules(path).map((rule) => [ruleKey(rule), rule]));
  for (const family of path.families) {
    const found = inside
      .dump((to) => dumpRules(to, family), decodeRoutingRule)
      .filter(({ table }) => table === RETURN_TABLE);
    for (const rule of found) {
      if (wanted.delete(ruleKey(rule)) || rule.when.kind === "other") continue;
      tolerate(ENOENT, () => inside.request((to) => deleteRule(to, rule)));
    }
  }
  for (const rule of wanted.values())
    tolerate(EEXIST, () => inside.request((to) => putRule(to, rule)));
}

function everywhere(family: Family): { readonly ip: Ip; readonly length: number } {
  return { ip: { family, value: 0n }, length: 0 };
}

function tolerate(errno: number, request: () => void): void {
  try {
    request();
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== errno) throw error;
  }
}
