// How the peers are asked whether they are there: on the machines' own network, and on the data path.
import type { Ip } from "../../common/address.js";

export interface PeerAnswer {
  readonly address: string;
  readonly round: number;
  readonly rttUs: number;
}

/** What came since it was last asked. */
export interface PeerNews {
  readonly answers: readonly PeerAnswer[];
  /** Who asked here, by VTEP. */
  readonly heard: readonly string[];
}

/** One way to ask. Nothing waits: what comes is kept by the kernel, with the time when it came. */
export interface PeerProber {
  /** One request to each, from `source`. False: nothing can be sent this way now. Never throws. */
  ask(round: number, source: Ip, targets: readonly Ip[]): boolean;
  news(): PeerNews;
  close(): void;
}
