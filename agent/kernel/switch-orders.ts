// What the main thread tells the switch's threads. Descriptors are the whole process's.
import type { Family } from "../../common/address.js";
import type { Counters } from "../overlay/switch-counters.js";

export interface SwitchThreadData {
  readonly direction: "out" | "in";
  /** An eventfd: whoever writes to it has posted an order. */
  readonly wake: number;
  /** A PeerBook's memory. */
  readonly peers: SharedArrayBuffer;
  readonly stray: Counters;
  /** A StrangerBook's memory. */
  readonly strangers: SharedArrayBuffer;
}

export type SwitchOrder =
  | { readonly kind: "socket"; readonly fd: number; readonly family: Family; readonly port: number }
  | { readonly kind: "close-socket"; readonly fd: number }
  /** A network, or what has changed of it. Its socket has been told before. */
  | {
      readonly kind: "network";
      readonly tap: number;
      readonly socket: number;
      /** A SwitchTable's. */
      readonly words: Int32Array;
      readonly counters: Counters;
    }
  | { readonly kind: "forget"; readonly vni: number }
  | { readonly kind: "end" };

/** `number` comes back once the order is done, and what it was about is not used any more. */
export interface NumberedOrder {
  readonly number: number;
  readonly order: SwitchOrder;
}

/** Choice: the data path's port and address before and after a change, and as many once more. */
export const SOCKETS_MAX = 4;
