// What our things are called in the kernel, so that a dead run's leftovers are known again. Names of
// interfaces are at most 15 bytes (IFNAMSIZ).
import { createHash } from "node:crypto";
import type { SandboxRef } from "./want.js";

export const BRIDGE = "br0";
export const VXLAN = "vxlan0";
/** IFLA_IFALIAS of what is ours; what follows is an endpoint's or a network's id. */
export const ALIAS = "skein:";

const NETWORK_FILE = /^net-([1-9]\d{0,7})$/;
const SANDBOX_FILE = /^sb-[0-9a-z]{1,12}$/;
const PORT = /^v-[0-9a-f]{8}$/;

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
export function aliasOf(id: string): string {
  return ALIAS + id;
}

/** Locally administered, the same on every node and across restarts; it is no frame's destination. */
export function bridgeMac(vni: number): string {
  const hex = vni.toString(16).padStart(6, "0");
  // 0x53 0x6b: "Sk".
  return `02:53:6b:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
}

/** Names a sandbox in maps. */
export function sandboxKey(ref: SandboxRef): string {
  switch (ref.kind) {
    case "own":
      return `own:${ref.id}`;
    case "foreign":
      return `foreign:${ref.path}`;
    case "host":
      return "host";
  }
}

// Choice: 32 bits; the endpoints of one network on one node are hundreds at most.
function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
