// Finds out who has a VNI on this machine, when the kernel says only that somebody has. The kernel keeps
// one list a UDP port and namespace of sockets, but the device itself may stand in any other namespace.
import { closeSync, openSync } from "node:fs";
import { dumpLinks } from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import { decodeNamespaceId, getNamespaceId } from "../netlink/namespace-id.js";
import { ALIAS, networkFile } from "../reconcile/names.js";
import { mountedNamespaces, within } from "./namespace.js";
import { NetlinkSocket } from "./netlink-socket.js";

// Choice: beyond this a machine is searched for longer than the answer is worth.
const NAMESPACES_MAX = 512;

/** The end of a sentence: "the VXLAN device vx0 of this machine". `except`: our own namespace file. */
export function holderOf(
  underlay: NetlinkSocket,
  vni: number,
  port: number,
  except: string,
): string {
  const isIt = ({ vxlan }: { vxlan: { vni: number; port: number } | undefined }) =>
    vxlan?.vni === vni && vxlan.port === port;
  const here = underlay.dump(dumpLinks, decodeLink).find(isIt);
  if (here !== undefined)
    return `the VXLAN device ${here.name} of this machine, which is not Skein's`;
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    for (const path of mountedNamespaces().slice(0, NAMESPACES_MAX)) {
      if (path === except) continue;
      const found = linksThere(path, home)?.find(isIt);
      if (found === undefined) continue;
      const suffix = `/netns/${networkFile(vni)}`;
      return path.endsWith(suffix) && found.alias.startsWith(ALIAS)
        ? `another Skein on this machine (its run directory is ${path.slice(0, -suffix.length)})`
        : `the VXLAN device ${found.name} in the network namespace ${path}`;
    }
  } finally {
    closeSync(home);
  }
  return "a VXLAN device in another network namespace of this machine";
}

/** The links of a namespace whose sockets are in ours; undefined if it cannot be entered. */
function linksThere(path: string, home: number) {
  try {
    const socket = within(path, () => new NetlinkSocket());
    try {
      const [ours] = socket.dump((writer) => getNamespaceId(writer, home), decodeNamespaceId);
      return socket.dump(dumpLinks, decodeLink).filter(({ linkNetnsid }) => linkNetnsid === ours);
    } finally {
      socket.close();
    }
  } catch {
    return undefined;
  }
}
