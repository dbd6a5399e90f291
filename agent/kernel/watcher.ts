// The Watcher seam: looks into namespaces with sockets of its own, opened for one use.
import { existsSync } from "node:fs";
import type { Ip } from "../../common/address.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import { dumpLinks } from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import { decodeNeighbour, dumpNeighbours } from "../netlink/neighbour.js";
import { NETLINK_NETFILTER } from "../netlink/nftables-constants.js";
import { askRoute, decodeChosenRoute } from "../netlink/route-answer.js";
import { BRIDGE, networkFile } from "../reconcile/names.js";
import { type SandboxRef, sandboxPath } from "../reconcile/want.js";
import type { RouteAnswer, Watcher } from "../seams.js";
import { openTap } from "./frame-tap.js";
import { lookAtNamespace, lookAtNetwork } from "./look.js";
import { isNamespace, within } from "./namespace.js";
import { NetlinkError, NetlinkSocket } from "./netlink-socket.js";
import { dumpTables } from "./packet-tables.js";
import { portCounters } from "./port-counters.js";
import { listenersHere, lookUpName, probeFlow } from "./sandbox-probe.js";

/** What reaches the bridge's own end came in by a port and has been seen there. */
const NOT_A_PORT = new Set(["lo", BRIDGE]);

export function linuxWatcher(runDir: string): Watcher {
  /** Undefined: it does not stand. */
  const inNetwork = <T>(vni: number, use: (path: string) => T): T | undefined => {
    const path = `${runDir}/netns/${networkFile(vni)}`;
    return existsSync(path) && isNamespace(path) ? use(path) : undefined;
  };
  const inSandbox = <T>(ref: SandboxRef, window: () => T): T | undefined => {
    if (ref.kind === "host") return window();
    const path = ref.kind === "own" ? sandboxPath(runDir, ref.id) : ref.path;
    return existsSync(path) && isNamespace(path) ? within(path, window) : undefined;
  };
  const asking = <T>(use: (socket: NetlinkSocket) => T, protocol?: number): T => {
    const socket = new NetlinkSocket([], protocol);
    try {
      return use(socket);
    } finally {
      socket.close();
    }
  };
  return {
    tapNetwork: (vni, wish) =>
      inNetwork(vni, (path) => openTap({ ...wish, path, without: NOT_A_PORT })),
    tapSandbox: (ref, wish) =>
      inSandbox(ref, () =>
        openTap({ ...wish, path: undefined, without: ref.kind === "host" ? NONE : LOOPBACK }),
      ),
    network: (vni) =>
      inNetwork(vni, (path) => within(path, () => asking((s) => lookAtNetwork(s, vni)))),
    counters: (vni) =>
      inNetwork(vni, (path) =>
        within(path, () => asking(portCounters)).filter(({ name }) => !NOT_A_PORT.has(name)),
      ),
    inside: (ref) => inSandbox(ref, () => asking(lookAtNamespace)),
    route: (ref, to) => inSandbox(ref, () => asking((socket) => routeTo(socket, to))),
    neighbours: (ref) => inSandbox(ref, () => asking(neighboursOf)),
    tables: (ref) => inSandbox(ref, () => asking((s) => dumpTables(s, runDir), NETLINK_NETFILTER)),
    listeners: (ref) => inSandbox(ref, listenersHere),
    probe: (ref, to, protocol, port, signal) =>
      probeFlow((open) => inSandbox(ref, open), to, protocol, port, signal),
    lookUp: (ref, name, signal) => lookUpName((open) => inSandbox(ref, open), name, signal),
  };
}

const NONE: ReadonlySet<string> = new Set();
const LOOPBACK: ReadonlySet<string> = new Set(["lo"]);

function routeTo(socket: NetlinkSocket, to: Ip): RouteAnswer {
  try {
    const [chosen] = socket.dump((writer) => askRoute(writer, to), decodeChosenRoute);
    if (chosen === undefined) return { kind: "none", why: "the kernel did not answer" };
    return { kind: "route", ...chosen, device: linkNames(socket).get(chosen.ifindex) ?? "" };
  } catch (error) {
    if (error instanceof NetlinkError) return { kind: "none", why: error.message };
    throw error;
  }
}

function neighboursOf(socket: NetlinkSocket) {
  const names = linkNames(socket);
  return ([AF_INET, AF_INET6] as const).flatMap((family) =>
    socket
      .dump((writer) => dumpNeighbours(writer, family), decodeNeighbour)
      .map(({ ip, mac, state, ifindex }) => ({ ip, mac, state, device: names.get(ifindex) ?? "" })),
  );
}

function linkNames(socket: NetlinkSocket): ReadonlyMap<number, string> {
  return new Map(socket.dump(dumpLinks, decodeLink).map(({ ifindex, name }) => [ifindex, name]));
}
