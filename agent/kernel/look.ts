// Reads what a namespace holds, through a netlink socket that belongs to it.

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
import { decodeLink, dumpLinks } from "../netlink/link.js";
import { decodeNeighbour, dumpNeighbours, ZERO_MAC } from "../netlink/neighbour.js";
import { decodeRoute, dumpRoutes } from "../netlink/route.js";
import type { LinkHave, NamespaceHave, NetworkHave, RouteHave } from "../reconcile/have.js";
import { BRIDGE, VXLAN } from "../reconcile/names.js";
import type { NetlinkSocket } from "./netlink-socket.js";

export function lookAtNamespace(socket: NetlinkSocket): NamespaceHave {
  const routes: RouteHave[] = socket
    .dump(dumpRoutes, decodeRoute)
    .filter(({ table, type }) => table === RT_TABLE_MAIN && type === RTN_UNICAST);
  return {
    links: socket.dump(dumpLinks, decodeLink),
    addresses: socket.dump(dumpAddresses, decodeAddress),
    routes,
  };
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
  };
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

function lookAtNeighbours(
  socket: NetlinkSocket,
  links: ReadonlyMap<string, LinkHave>,
): ReadonlyMap<string, string> {
  const neighbours = new Map<string, string>();
  const bridge = links.get(BRIDGE)?.ifindex;
  for (const family of [AF_INET, AF_INET6] as const) {
    socket.dump(
      (writer) => dumpNeighbours(writer, family),
      (message) => {
        const row = decodeNeighbour(message);
        if (row?.ifindex === bridge && row && row.state & NUD_PERMANENT)
          neighbours.set(row.ip, row.mac);
        return undefined;
      },
    );
  }
  return neighbours;
}
