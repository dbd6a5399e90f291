// What the data paths count, for metrics and for whoever asks why a frame did not arrive. Each path says what it can
// know: the VXLAN device counts a network's frames and not a peer's, packet filters count drops by reason.

/** Frames between this node and others, as the wire has them less the outer headers, since the path began to count. */
export interface TrafficCount {
  readonly networkId: string;
  /** VTEP of the other node; empty: the path does not tell peers apart. */
  readonly peer: string;
  readonly frames: { readonly in: number; readonly out: number };
  readonly bytes: { readonly in: number; readonly out: number };
}

export interface DropCount {
  /** Empty: of no network ("unknown-vni"). */
  readonly networkId: string;
  /** VTEP of the other node; empty: not told apart, or of this node's own. */
  readonly peer: string;
  /** A word or two with hyphens: "source-spoofed", "not-a-peer", "queue-full". The same word for the same thing on every path. */
  readonly reason: string;
  readonly frames: number;
}

export interface DataPathCounts {
  readonly traffic: readonly TrafficCount[];
  readonly drops: readonly DropCount[];
}

/** Asked at most once a second or so: when somebody reads the metrics. Never throws. */
export interface DataPathCounters {
  /** What fills it, as metrics label it: "vxlan", "filter", "accelerated", "userspace". */
  readonly source: string;
  read(): DataPathCounts;
}
