// The pair that joins a network's namespace to the underlay's for the accelerated path's programs. No frame but theirs is
// to be on it.
import { closeSync, openSync } from "node:fs";
import { changeLink, newVeth } from "../netlink/link.js";
import { FAST } from "../reconcile/acceleration.js";
import { bridgeMac } from "../reconcile/names.js";
import { findLink, mustLink, removeLink } from "./network-steps.js";
import type { Places } from "./places.js";
import { sentenceFault } from "./sentence.js";
import { writeSysctl } from "./sysctl.js";

export interface Pair {
  readonly vni: number;
  readonly mtuBytes: number;
  /** Of the end in the underlay's namespace; the alias says that it is ours. */
  readonly name: string;
  readonly alias: string;
}

/** Anew, whatever is left of an earlier one. */
export function makePair(places: Places, { vni, mtuBytes, name, alias }: Pair): void {
  const near = places.mustNetwork(vni).socket;
  const { socket } = places.underlay;
  removeLink(near, FAST);
  const left = findLink(socket, name);
  if (left !== undefined && left.alias !== "" && left.alias !== alias) {
    const why = `The name ${name} is taken by a device that is not this agent's.`;
    throw sentenceFault("FAST_NAME_TAKEN", why, { name });
  }
  if (left !== undefined) removeLink(socket, name);
  const netnsFd = openSync("/proc/thread-self/ns/net", "r");
  try {
    const peer = { name, mac: bridgeMac(vni), netnsFd };
    near.request((writer) => newVeth(writer, { name: FAST, mtuBytes, peer }));
  } finally {
    closeSync(netnsFd);
  }
  // Else the kernel would speak IPv6 on it by itself.
  writeSysctl(`ipv6/conf/${name}/disable_ipv6`, 1);
  const far = mustLink(socket, name).ifindex;
  socket.request((writer) => changeLink(writer, far, { alias, up: true }));
  const { ifindex } = mustLink(near, FAST);
  near.request((writer) => changeLink(writer, ifindex, { alias, up: true }));
}
