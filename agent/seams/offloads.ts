// Test exchanges with a peer, and what the networks' own devices leave to the network interface.
import type { Ip } from "../../common/address.js";
import type { Exchange, Offload } from "../overlay/offload-test.js";

export interface OffloadDoor {
  /**
   * Answers peers' exchanges from now on, at this address of the nodes' own network; again whenever its namespace is
   * another. Does nothing while there is none.
   */
  answer(own: Ip): void;
  /** Between this node's and the peer's address on the nodes' own network. */
  exchange(own: Ip, peer: Ip, timeoutMs: number, signal: AbortSignal): Promise<Exchange>;
  /** Of a network's VXLAN device; undefined: it does not stand. */
  has(vni: number, offload: Offload): boolean | undefined;
  set(vni: number, offload: Offload, on: boolean): void;
  close(): void;
}
