// What this node's kernel is to hold of the networks that only this node has: bridges in the machine's own
// namespace, what is plugged into them, and the ports of the machine that lead to it.
import type { Ip, Prefix } from "../../common/address.js";
import type { LocalEndpoint } from "./want.js";

export interface BridgeWant {
  readonly networkId: string;
  readonly name: string;
  /** Of the bridge in the machine's namespace; at most 15 bytes. */
  readonly device: string;
  readonly mtuBytes: number;
  /** The machine's own address on it, with prefix length: one a family, the gateway of those inside. */
  readonly addresses: readonly Prefix[];
  /** Nothing goes in or out but between the bridge's own and this machine. */
  readonly internal: boolean;
  /** Whether those inside may talk to each other. */
  readonly icc: boolean;
  /** Whether what leaves has this machine's address. */
  readonly masquerade: boolean;
  readonly locals: readonly LocalEndpoint[];
}

export type PortProtocol = "tcp" | "udp" | "sctp";

/** A port of this machine that leads to one inside. */
export interface PortWant {
  readonly protocol: PortProtocol;
  /** Undefined: every address of this machine. */
  readonly hostIp: Ip | undefined;
  readonly hostPort: number;
  readonly ip: Ip;
  readonly port: number;
}

export interface LocalWant {
  readonly bridges: readonly BridgeWant[];
  readonly ports: readonly PortWant[];
}
