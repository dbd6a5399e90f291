// The steps on bridges in the machine's own namespace, and on what is plugged into them.
import { readdirSync } from "node:fs";
import type { Family } from "../../common/address.js";
import { putAddress } from "../netlink/interface-address.js";
import { changeLink, changePort, newBridge } from "../netlink/link.js";
import { localBridgeMac, newbornName, portName } from "../reconcile/names.js";
import type { MakeBridge, Plug } from "../reconcile/step.js";
import { dressInside, ensurePair, quiet } from "./endpoint-steps.js";
import { findLink, mustLink, removeLink } from "./network-steps.js";
import type { Places } from "./places.js";
import { sentenceFault } from "./sentence.js";
import { openBridge, readSysctl, writeSysctl } from "./sysctl.js";

// Docker's own bridges snoop; here a machine's few containers get what any of them is sent.
const NO_GROUPS = { snooping: false, querier: false };

export function makeBridge({ underlay: { socket } }: Places, { bridge, alias }: MakeBridge): void {
  const { device, mtuBytes, networkId } = bridge;
  const found = findLink(socket, device);
  if (found === undefined) {
    // It gets its name and our mark in one request: a bridge of that name without the mark is not ours.
    const newborn = newbornName(networkId);
    removeLink(socket, newborn);
    const mac = localBridgeMac(networkId);
    socket.request((writer) =>
      newBridge(writer, { name: newborn, mac, mtuBytes, groups: NO_GROUPS }),
    );
    const { ifindex } = mustLink(socket, newborn);
    socket.request((writer) => changeLink(writer, ifindex, { up: false }));
    socket.request((writer) => changeLink(writer, ifindex, { rename: device, alias }));
  } else if (found.alias !== alias) {
    const why = `This machine already has an interface named ${device} that is not Skein's.`;
    throw sentenceFault("BRIDGE_TAKEN", why, { device });
  }
  const hasIpv6 = bridge.addresses.some(({ ip }) => ip.family === 6);
  openBridge(device, { hasIpv6, fromLoopback: !bridge.internal });
  const { ifindex } = mustLink(socket, device);
  for (const prefix of bridge.addresses) {
    socket.request((writer) => putAddress(writer, ifindex, prefix));
  }
  socket.request((writer) => changeLink(writer, ifindex, { mtuBytes, up: true }));
}

export function removeBridge({ underlay }: Places, device: string): void {
  removeLink(underlay.socket, device);
}

export function plug(places: Places, step: Plug): void {
  const near = places.underlay.socket;
  const { endpoint, mtuBytes, alias } = step;
  const done = places.inSandbox(endpoint.sandbox, (inside, netnsFd) => {
    const pair = { endpoint, mtuBytes, routes: [] };
    const far = ensurePair(near, inside, netnsFd, pair);
    const { ifindex } = mustLink(near, portName(endpoint.endpointId));
    const { ifindex: master } = mustLink(near, step.device);
    near.request((writer) => changeLink(writer, ifindex, { mtuBytes, master, alias }));
    near.request((writer) => changePort(writer, ifindex, step.port));
    // The bridge has the machine's addresses; its ports have none to say.
    writeSysctl(`ipv6/conf/${portName(endpoint.endpointId)}/disable_ipv6`, 1);
    near.request((writer) => changeLink(writer, ifindex, { up: true }));
    quiet(places, pair, far.name);
    dressInside(inside, far, pair);
    findLink(inside, endpoint.interfaceName);
    return true;
  });
  if (done === undefined) {
    const where = places.sandboxPath(endpoint.sandbox);
    throw sentenceFault("SANDBOX_GONE", `The network namespace ${where} is gone.`, {});
  }
}

export function unplug({ underlay }: Places, port: string): void {
  removeLink(underlay.socket, port);
}

const FORWARDING: Readonly<Record<Family, string>> = {
  4: "ipv4/ip_forward",
  6: "ipv6/conf/all/forwarding",
};
const INTERFACES = "/proc/sys/net/ipv6/conf";

/** A machine that has no IPv6 has nothing to allow. */
export function forwarding(): Readonly<Record<Family, boolean>> {
  return { 4: readSysctl(FORWARDING[4]) === "1", 6: readSysctl(FORWARDING[6]) !== "0" };
}

export function bridgedFilter(): Readonly<Record<Family, boolean>> {
  return {
    4: readSysctl("bridge/bridge-nf-call-iptables") === "1",
    6: readSysctl("bridge/bridge-nf-call-ip6tables") === "1",
  };
}

export function allowForwarding(family: Family): void {
  if (family === 6) keepAdvertisements();
  writeSysctl(FORWARDING[family], 1);
  if (forwarding()[family]) return;
  const setting = `net.${FORWARDING[family].replaceAll("/", ".")}`;
  const why = `This machine does not let ${setting} be set, so containers reach only it by IPv${family}.`;
  throw sentenceFault("FORWARDING", why, { family });
}

/**
 * ip-sysctl: an interface that forwards takes router advertisements only if accept_ra is 2. A machine that has its
 * own IPv6 by them would lose it.
 */
function keepAdvertisements(): void {
  let names: readonly string[];
  try {
    names = readdirSync(INTERFACES);
  } catch {
    return;
  }
  for (const name of names) {
    const key = `ipv6/conf/${name}/accept_ra`;
    if (name !== "all" && readSysctl(key) === "1") writeSysctl(key, 2);
  }
}
