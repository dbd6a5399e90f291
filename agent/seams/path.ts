// How large the packets are that reach another node.
import type { Ip } from "../../common/address.js";
import type { RoundAnswer } from "../overlay/path-search.js";

export interface PathProbe {
  readonly from: Ip;
  readonly to: Ip;
  /** Of whole IP packets. */
  readonly sizesBytes: readonly number[];
  /**
   * By the data path, on this port of UDP, to the peer's address on the nodes' own network; undefined: plainly, to the
   * peer itself.
   */
  readonly tunnelPort?: number | undefined;
}

/** What the kernel says of the way to an address. */
export interface KnownPath {
  /** Interface and next hop: another way is another path. */
  readonly way: string;
  /** What the interface carries, or less where a person wrote a route with an MTU of its own. */
  readonly largestBytes: number;
  /** What a router on the way answered some packet of this machine, and the kernel still remembers. */
  readonly learnedBytes: number | undefined;
}

export interface PathProber {
  /** undefined: there is no way, or the source is no address of this machine. */
  known(from: Ip, to: Ip): KnownPath | undefined;
  /**
   * Sends one packet of each size that nobody on the way may cut in pieces; what was not answered is sent again, up
   * to `tries` times within `timeoutMs`. One answer a probe, in order. Ends early when all have answered.
   */
  send(
    probes: readonly PathProbe[],
    options: { readonly tries: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<readonly RoundAnswer[]>;
}
