// The last changes, so that a node that was away for a moment is told only what it missed. It is not
// replicated: each manager remembers what it applied itself, and after a restore the memory starts anew,
// which costs the nodes that were behind one full message each.
import { isTold, nodeConcerned } from "../dispatch/task-view.js";
import type { Change, Kind } from "./objects.js";

/** Names what changed; what it is now is read from the store. */
export interface RecentChange {
  readonly revision: number;
  readonly kind: Kind;
  readonly id: string;
  /** Of an endpoint or a policy; empty for other kinds. */
  readonly networkId: string;
  /** Of an endpoint; of a task, the node that has to hear of this change; else empty. */
  readonly nodeId: string;
  readonly removed: boolean;
  /** A task that its node had not heard of. */
  readonly isNew: boolean;
}

// Choice: a burst of 32,768 changes is more than a full message of the largest network (10,000 rows)
// costs; who is further behind than that is better served with a full one. About 4 MiB.
const RECENT_MAX = 32_768;

export class RecentChanges {
  // Oldest first from `#start`; the part before it is dropped when it has grown to half.
  #entries: RecentChange[] = [];
  #start = 0;
  /** Changes up to and including this revision are forgotten. */
  #forgotten: number;

  constructor(
    revision: number,
    private readonly limit = RECENT_MAX,
  ) {
    this.#forgotten = revision;
  }

  push(revision: number, change: Change): void {
    const endpoint = change.kind === "endpoint" ? (change.after ?? change.before) : undefined;
    this.#entries.push({
      revision,
      kind: change.kind,
      id: change.id,
      networkId: endpoint?.networkId ?? policyNetworkOf(change),
      nodeId: endpoint?.nodeId ?? nodeOf(change),
      removed: change.after === undefined,
      isNew: change.kind === "task" && !isTold(change.before),
    });
    if (this.#entries.length - this.#start > this.limit) this.#forgetOldest();
  }

  since(revision: number): readonly RecentChange[] | undefined {
    if (revision < this.#forgotten) return undefined;
    let low = this.#start;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.revision ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return this.#entries.slice(low);
  }

  #forgetOldest(): void {
    this.#forgotten = this.#entries[this.#start]?.revision ?? this.#forgotten;
    this.#start++;
    if (this.#start > this.limit) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }
}

function policyNetworkOf(change: Change): string {
  return change.kind === "policy" ? ((change.after ?? change.before)?.networkId ?? "") : "";
}

function nodeOf(change: Change): string {
  return change.kind === "task" ? nodeConcerned(change.before, change.after) : "";
}
