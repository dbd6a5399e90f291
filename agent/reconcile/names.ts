// What our things are called in the kernel, so that a dead run's leftovers are known again. Names of
// interfaces are at most 15 bytes (IFNAMSIZ).
import { createHash } from "node:crypto";
import type { TablePlace } from "./want.js";

export const BRIDGE = "br0";
export const VXLAN = "vxlan0";
/** Takes frames on the other port while the data path port is being changed, and sends none. */
export const LISTENER = "vxlan1";
/** What one of the two is called while they change names. */
export const ASIDE = "vxlan2";
/** IFLA_IFALIAS of what is ours; what follows is an endpoint's or a network's id. */
export const ALIAS = "skein:";

const NETWORK_FILE = /^net-([1-9]\d{0,7})$/;
const SANDBOX_FILE = /^sb-[0-9a-z]{1,12}$/;
const NEWBORN = /^sk-[0-9a-f]{8}$/;
/** Every table of ours begins so. */
export const TABLE = "skein";
const OTHERS_TABLE = /^skein_[0-9a-f]{8}(_|$)/;
const PORT = /^v-[0-9a-f]{8}$/;

/** Where the WireGuard device is, and nothing else. */
export const WIREGUARD_FILE = "wireguard";

/**
 * The WireGuard device, and wireguard-go's socket in /run/wireguard, which the agents of one machine share. 15 bytes
 * at most.
 */
export function wireguardDevice(runDir: string): string {
  return `skwg-${digest(runDir)}`;
}

export function networkFile(vni: number): string {
  return `net-${vni}`;
}
export function vniOfFile(file: string): number | undefined {
  const match = NETWORK_FILE.exec(file);
  return match === null ? undefined : Number(match[1]);
}
export function isSandboxFile(file: string): boolean {
  return SANDBOX_FILE.test(file);
}

/** The end of the endpoint's veth pair that is a port of the network's bridge. */
export function portName(endpointId: string): string {
  return `v-${digest(endpointId)}`;
}
export function isPort(name: string): boolean {
  return PORT.test(name);
}
/** The other end's name until it is complete and gets the one that was asked for. */
export function newbornName(endpointId: string): string {
  return `sk-${digest(endpointId)}`;
}
export function isNewborn(name: string): boolean {
  return NEWBORN.test(name);
}
export function aliasOf(id: string): string {
  return ALIAS + id;
}

/**
 * IFLA_IFALIAS of what is ours in the machine's own namespace, where another agent's may be too: `tag` tells
 * the agents of one machine apart.
 */
export function localAlias(tag: string, id: string): string {
  return `${ALIAS}local-${tag}:${id}`;
}
/** Of a run directory; the same after every restart. */
export function agentTag(runDir: string): string {
  return digest(runDir);
}
/**
 * What a table of ours is called in the kernel: as in the want ("skein", "skein_mesh"), but for an agent that is
 * not an ordinary installation's, and may stand beside one.
 */
export function kernelTable(runDir: string, name: string): string {
  return ownTable(runDir) + name.slice(TABLE.length);
}
/** The name in the want; undefined: it is not this agent's. */
export function tableOfKernel(runDir: string, found: string): string | undefined {
  const own = ownTable(runDir);
  if (found !== own && !found.startsWith(`${own}_`)) return undefined;
  return own === TABLE && OTHERS_TABLE.test(found) ? undefined : TABLE + found.slice(own.length);
}
function ownTable(runDir: string): string {
  return runDir === "/run/skein" ? TABLE : `${TABLE}_${agentTag(runDir)}`;
}
/** Docker's beginning; the rest of the address is the network's, the same on every start. */
export function localBridgeMac(networkId: string): string {
  return `02:42:${digest(networkId).replace(/..(?=.)/g, "$&:")}`;
}

/**
 * Every network's bridge has it, to ask who listens to groups of IPv6 (RFC 3810 section 5.1.14: from a link-local
 * address). It is asked from within one node only: 73 6b 62 72 is "skbr".
 */
export const BRIDGE_LINK_LOCAL = "fe80::736b:6272/64";

/** Locally administered, the same on every node and across restarts; it is no frame's destination. */
export function bridgeMac(vni: number): string {
  const hex = vni.toString(16).padStart(6, "0");
  // 0x53 0x6b: "Sk".
  return `02:53:6b:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
}

/** Names a sandbox in maps. */
export function sandboxKey(ref: TablePlace): string {
  switch (ref.kind) {
    case "own":
      return `own:${ref.id}`;
    case "foreign":
      return `foreign:${ref.path}`;
    case "host":
      return "host";
    case "network":
      return `network:${ref.vni}`;
  }
}

// Choice: 32 bits; the endpoints of one network on one node are hundreds at most.
function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

export function isSameSandbox(a: TablePlace, b: TablePlace): boolean {
  return sandboxKey(a) === sandboxKey(b);
}
