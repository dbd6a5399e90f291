// Reads what a namespace holds, through a netlink socket that belongs to it.

import { WATCH_VNI } from "../../common/ids.js";
import {
  AF_BRIDGE,
  AF_INET,
  AF_INET6,
  NTF_SELF,
  NUD_NOARP,
  NUD_PERMANENT,
  RT_TABLE_MAIN,
  RTN_UNICAST,
} from "../netlink/constants.js";
import { decodeAddress, dumpAddresses } from "../netlink/interface-address.js";
import { dumpLinks } from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import { decodeNeighbour, dumpNeighbours, ZERO_MAC } from "../netlink/neighbour.js";
import { decodeRoute, dumpRoutes, type Route } from "../netlink/route.js";
import { decodeRoutingRule, dumpRules } from "../netlink/rule.js";
import type { LinkHave, NamespaceHave, NetworkHave, RouteHave } from "../reconcile/have.js";
import { RETURN_TABLE, type ReturnHave } from "../reconcile/mesh-want.js";
import { BRIDGE, BRIDGE_LINK_LOCAL, VXLAN } from "../reconcile/names.js";
import { kernelFamilies, kernelHasIpv6 } from "./ipv6.js";
import type { NetlinkSocket } from "./netlink-socket.js";

const DOMAINS = { 4: AF_INET, 6: AF_INET6 } as const;

export function lookAtNamespace(socket: NetlinkSocket): NamespaceHave {
  const all = socket.dump(dumpRoutes, decodeRoute).filter(({ type }) => type === RTN_UNICAST);
  const routes: RouteHave[] = all.filter(({ table }) => table === RT_TABLE_MAIN);
  const returning = lookAtReturn(
    socket,
    all.filter(({ table }) => table === RETURN_TABLE),
  );
  return {
    links: socket.dump(dumpLinks, decodeLink),
    addresses: socket.dump(dumpAddresses, decodeAddress),
    routes,
    ...(returning && { returning }),
  };
}

/** The routes come first and go last: without them there is nothing of the mesh. */
function lookAtReturn(socket: NetlinkSocket, routes: readonly Route[]): ReturnHave | undefined {
  if (routes.length === 0) return undefined;
  const rules = kernelFamilies().flatMap((family) =>
    socket.dump((writer) => dumpRules(writer, family), decodeRoutingRule),
  );
  const neighbours = kernelFamilies().flatMap((family) =>
    socket
      .dump((writer) => dumpNeighbours(writer, DOMAINS[family]), decodeNeighbour)
      .filter(({ state }) => state & NUD_PERMANENT),
  );
  return {
    rules: rules.filter(({ table }) => table === RETURN_TABLE),
    routes: routes.map(({ prefix, ifindex }) => ({
      family: prefix.includes(":") ? 6 : 4,
      ifindex,
    })),
    neighbours,
  };
}

/** Of the machine's way into the mesh; undefined: there is none. */
export function lookAtMesh(
  socket: NetlinkSocket,
  ifindex: number | undefined,
): ReadonlyMap<string, string> | undefined {
  return ifindex === undefined ? undefined : permanentNeighbours(socket, ifindex);
}

export function lookAtNetwork(socket: NetlinkSocket, vni: number): NetworkHave {
  const links = new Map<string, LinkHave>();
  const names = new Map<number, string>();
  for (const link of socket.dump(dumpLinks, decodeLink)) {
    links.set(link.name, link);
    names.set(link.ifindex, link.name);
  }
  return {
    vni,
    links,
    ...lookAtForwarding(socket, links, names),
    neighbours: lookAtNeighbours(socket, links),
    ...(vni === WATCH_VNI && { own: lookAtOwn(socket, links.get(BRIDGE)?.ifindex) }),
    asks: asksGroups(socket, links),
  };
}

function lookAtOwn(socket: NetlinkSocket, bridge: number | undefined): ReadonlySet<string> {
  const all = socket.dump(dumpAddresses, decodeAddress);
  return new Set(all.filter(({ ifindex }) => ifindex === bridge).map(({ prefix }) => prefix));
}

function lookAtForwarding(
  socket: NetlinkSocket,
  links: ReadonlyMap<string, LinkHave>,
  names: ReadonlyMap<number, string>,
): Pick<NetworkHave, "fdb" | "flood" | "bridgeFdb"> {
  const fdb = new Map<string, string>();
  const flood = new Set<string>();
  const bridgeFdb = new Map<string, string>();
  const vxlan = links.get(VXLAN)?.ifindex;
  socket.dump(
    (writer) => dumpNeighbours(writer, AF_BRIDGE),
    (message) => {
      const row = decodeNeighbour(message);
      if (row === undefined) return undefined;
      if (row.flags & NTF_SELF) {
        if (row.ifindex !== vxlan || row.ip === "") return undefined;
        if (row.mac === ZERO_MAC) flood.add(row.ip);
        else fdb.set(row.mac, row.ip);
      } else if (row.state & NUD_NOARP) {
        // A bridge marks its static rows NOARP, and its own addresses PERMANENT.
        bridgeFdb.set(row.mac, names.get(row.ifindex) ?? "");
      }
      return undefined;
    },
  );
  return { fdb, flood, bridgeFdb };
}

function asksGroups(socket: NetlinkSocket, links: ReadonlyMap<string, LinkHave>): boolean {
  const addresses = socket.dump(dumpAddresses, decodeAddress);
  // A kernel without IPv6 has no groups of it either.
  if (!kernelHasIpv6()) return true;
  const bridge = links.get(BRIDGE)?.ifindex;
  return addresses.some((each) => each.ifindex === bridge && each.prefix === BRIDGE_LINK_LOCAL);
}

function lookAtNeighbours(
  socket: NetlinkSocket,
  links: ReadonlyMap<string, LinkHave>,
): ReadonlyMap<string, string> {
  return permanentNeighbours(socket, links.get(BRIDGE)?.ifindex);
}

function permanentNeighbours(
  socket: NetlinkSocket,
  ifindex: number | undefined,
): ReadonlyMap<string, string> {
  const neighbours = new Map<string, string>();
  for (const family of kernelFamilies()) {
    socket.dump(
      (writer) => dumpNeighbours(writer, DOMAINS[family]),
      (message) => {
        const row = decodeNeighbour(message);
        if (row?.ifindex === ifindex && row && row.state & NUD_PERMANENT)
          neighbours.set(row.ip, row.mac);
        return undefined;
      },
    );
  }
  return neighbours;
}
