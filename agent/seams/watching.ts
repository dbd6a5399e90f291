// Looking at what goes by, and at single decisions of the kernel's, without changing anything.
import type { Ip } from "../../common/address.js";
import type { NamespaceHave, NetworkHave } from "../reconcile/have.js";
import type { TableHave } from "../reconcile/table-have.js";
import type { SandboxRef } from "../reconcile/want.js";

export interface TapWish {
  /** Of each frame that many bytes are kept. */
  readonly snapBytes: number;
  /** Whether frames have the time; it costs a system call each. */
  readonly stamped?: boolean;
  /** What leaves by a device is left out. */
  readonly incomingOnly?: boolean;
}

export interface TappedFrame {
  /** Unix time at which the kernel had it; 0 where nobody asked. */
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Of the whole frame. */
  readonly length: number;
  /** At most as many bytes as were asked for; the receiver's own. */
  readonly data: Buffer;
  readonly device: string;
  /** It left by the device, instead of coming in. */
  readonly outgoing: boolean;
}

/** The kernel keeps what is not read, up to some megabytes; beyond them it drops and counts. */
export interface FrameTap {
  /** What came since the last call, oldest first; at most `max`. Does not wait. */
  read(max: number): readonly TappedFrame[];
  /** Since the tap was opened. Of those that came, some were read, some dropped, and the rest waits. */
  counts(): { readonly came: number; readonly read: number; readonly dropped: number };
  close(): void;
}

/** IFLA_STATS64, from the kernel's side: what the kernel received is what the endpoint sent. */
export interface LinkCounters {
  readonly name: string;
  readonly sentFrames: number;
  readonly sentBytes: number;
  readonly gotFrames: number;
  readonly gotBytes: number;
  readonly sentDropped: number;
  readonly gotDropped: number;
}

/** What the kernel would do with a packet, and by which address of its own it would send it. */
export type RouteAnswer =
  | {
      readonly kind: "route";
      /** RTN_*: 1 is unicast, 2 an address of this namespace's own. */
      readonly type: number;
      readonly device: string;
      readonly gateway: string | undefined;
      readonly source: string | undefined;
    }
  /** In the kernel's words: "Network is unreachable". */
  | { readonly kind: "none"; readonly why: string };

export interface NeighbourSeen {
  readonly ip: string;
  readonly mac: string;
  /** NUD_*. */
  readonly state: number;
  readonly device: string;
}

/** A socket that listens in a namespace; `address` is "0.0.0.0" or "::" for all. */
export interface Listener {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
}

/** How a connection, or a datagram, that was sent from a sandbox fared. */
export interface ProbeOutcome {
  readonly kind: "answered" | "refused" | "silent" | "failed";
  /** In the kernel's words, where there is an error. */
  readonly why: string;
  /** Until the answer, in microseconds. */
  readonly afterUs: number;
}

/** Undefined everywhere: the namespace does not stand. */
export interface Watcher {
  /** All frames that come into the namespace of a network by any device, and what leaves by its ports. */
  tapNetwork(vni: number, wish: TapWish): FrameTap | undefined;
  /** The frames of a sandbox (or, with "host", of the agent's own namespace) on all its devices. */
  tapSandbox(ref: SandboxRef, wish: TapWish): FrameTap | undefined;
  network(vni: number): NetworkHave | undefined;
  counters(vni: number): readonly LinkCounters[] | undefined;
  inside(ref: SandboxRef): NamespaceHave | undefined;
  route(ref: SandboxRef, to: Ip): RouteAnswer | undefined;
  neighbours(ref: SandboxRef): readonly NeighbourSeen[] | undefined;
  tables(ref: SandboxRef): readonly TableHave[] | undefined;
  listeners(ref: SandboxRef): readonly Listener[] | undefined;
  /** TCP: connects and closes at once. UDP: sends an empty datagram. Ends with the signal at the latest. */
  probe(
    ref: SandboxRef,
    to: Ip,
    protocol: "tcp" | "udp",
    port: number,
    signal: AbortSignal,
  ): Promise<ProbeOutcome>;
  /** Asks the resolver at 127.0.0.11 in a sandbox for a name's addresses; undefined: none answers there. */
  lookUp(
    ref: SandboxRef,
    name: string,
    signal: AbortSignal,
  ): Promise<{ readonly code: number; readonly addresses: readonly string[] } | undefined>;
}
