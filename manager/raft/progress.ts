// What a leader knows of one other member, and how fast it may send to it.
//
//   probe      where the logs agree is not known: one message, then wait for the answer
//   replicate  known: send ahead of the answers, within a window
//   snapshot   the member needs what the log no longer has: one chunk, then wait for the answer
import { INFLIGHT_BYTES_MAX, INFLIGHT_MESSAGES_MAX } from "./limits.js";
import type { OutgoingSnapshot } from "./snapshot-chunks.js";

export interface SnapshotSending {
  readonly snapshot: OutgoingSnapshot;
  readonly index: number;
  offset: number;
  /** Whether the chunk at `offset` is under way, and for how many ticks. */
  waiting: boolean;
  waitedTicks: number;
}

export type Pace =
  | { readonly kind: "probe"; sent: boolean }
  | {
      readonly kind: "replicate";
      readonly window: { readonly last: number; readonly bytes: number }[];
    }
  | { readonly kind: "snapshot"; readonly sending: SnapshotSending };

export class Progress {
  /** The last entry that it is known to have on disk. */
  match = 0;
  /** The next entry to send. Invariant: match < next. */
  next: number;
  pace: Pace = { kind: "probe", sent: false };
  /** The commit index it was last told. */
  toldCommit = 0;
  /** Ticks since anything was heard from it. */
  silentTicks = 0;
  /** How long writes to its disk take, as it said last, in microseconds; 0: it has not. */
  diskUs = 0;

  constructor(next: number) {
    this.next = next;
  }

  mayAppend(): boolean {
    switch (this.pace.kind) {
      case "probe":
        return !this.pace.sent;
      case "replicate": {
        const bytes = this.pace.window.reduce((sum, message) => sum + message.bytes, 0);
        return this.pace.window.length < INFLIGHT_MESSAGES_MAX && bytes < INFLIGHT_BYTES_MAX;
      }
      case "snapshot":
        return false;
    }
  }

  /** Takes note of an append that ends with `last` (`count` 0: it carried nothing). */
  sent(count: number, last: number, bytes: number): void {
    if (this.pace.kind === "probe") this.pace.sent = true;
    if (this.pace.kind !== "replicate" || count === 0) return;
    this.next = last + 1;
    this.pace.window.push({ last, bytes });
  }

  /** It has everything up to `index`. Answers whether that is news. */
  acknowledged(index: number): boolean {
    const news = index > this.match;
    this.match = Math.max(this.match, index);
    this.next = Math.max(this.next, index + 1);
    if (this.pace.kind === "probe" && index >= this.match) this.#replicate();
    if (this.pace.kind === "snapshot" && index >= this.pace.sending.index) this.#replicate();
    if (this.pace.kind === "replicate") {
      const { window } = this.pace;
      while (window[0] !== undefined && window[0].last <= index) window.shift();
    }
    return news;
  }

  /** It does not have `rejected`; `hint` is where it may agree. Answers whether that was about the present. */
  refused(rejected: number, hint: number): boolean {
    if (this.pace.kind === "snapshot" || rejected <= this.match) return false;
    if (this.pace.kind === "replicate") {
      this.probeFrom(this.match + 1);
      return true;
    }
    // An answer to an older probe says nothing about this one.
    if (this.next - 1 !== rejected) return false;
    this.probeFrom(Math.max(Math.min(rejected, hint + 1), this.match + 1));
    return true;
  }

  probeFrom(next: number): void {
    this.next = next;
    this.pace = { kind: "probe", sent: false };
  }

  /** The entries after this are still to be sent to it. */
  get needsAfter(): number {
    return this.pace.kind === "snapshot" ? this.pace.sending.index : this.match;
  }

  sendSnapshot(snapshot: OutgoingSnapshot, index: number): SnapshotSending {
    const sending = { snapshot, index, offset: 0, waiting: false, waitedTicks: 0 };
    this.pace = { kind: "snapshot", sending };
    return sending;
  }

  #replicate(): void {
    this.next = this.match + 1;
    this.pace = { kind: "replicate", window: [] };
  }
}
