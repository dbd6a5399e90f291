// The replicated state: applies the log's entries, drafts new ones, tells who listens what changed.
// It knows no meaning beyond rules.ts; what a request comes to is decided in manager/control.
import { assert, isRefusal, type Refusal } from "../../common/fault.js";
import { Topic } from "../../common/watch.js";
import { Batch, StoreSnapshot, type Transaction } from "../../proto/gen/store.js";
import type { SnapshotSlices, StateMachine } from "../seams.js";
import { TablesDraft } from "./draft.js";
import { Edit } from "./edit.js";
import { type Change, changeTo, type Item } from "./objects.js";
import { RecentChanges } from "./recent.js";
import { SNAPSHOT_FORMAT, snapshotSlices } from "./snapshot.js";
import { Tables } from "./tables.js";
import type { Draft, StoreChange, StoreView } from "./view.js";

/** For each transaction of an entry: why it was not done, or `undefined` if it was. */
export type Outcomes = readonly (Refusal | undefined)[];

export class Store implements StateMachine<Outcomes> {
  #tables = new Tables();
  #drafting = false;

  /** Published after each entry that changed something, and after a restore. */
  readonly changes = new Topic<StoreChange>();

  /** The state now. Ask again after each wait: a restore puts another in its place. */
  get view(): StoreView {
    return this.#tables;
  }

  get revision(): number {
    return this.#tables.revision;
  }

  /**
   * Lends a draft of the state to `work`, which must be synchronous; afterwards the state is what it was.
   * Propose `Batch.encode({ transactions: draft.transactions })`; `apply` answers one outcome for each.
   */
  draft<T>(work: (draft: Draft) => T): T {
    assert(!this.#drafting, "one draft at a time");
    const draft = new TablesDraft(this.#tables);
    this.#drafting = true;
    try {
      return work(draft);
    } finally {
      draft.end();
      this.#drafting = false;
    }
  }

  /** `data` is a Batch. Each transaction is done whole or not at all; a refused one stops no other. */
  apply(index: number, data: Uint8Array): Outcomes {
    assert(!this.#drafting, "nothing is applied while a draft is open");
    assert(index > this.revision, "entries are applied once, in order");
    const changed: Change[] = [];
    const outcomes = Batch.decode(data).transactions.map((transaction) => {
      const edit = new Edit(this.#tables, index, transaction.nowMs);
      const refusal = performAll(edit, transaction);
      if (refusal === undefined) changed.push(...edit.changes);
      else edit.undo();
      return refusal;
    });
    this.#tables.revision = index;
    for (const change of changed) this.#tables.recent.push(index, change);
    if (changed.length > 0) this.changes.publish({ revision: index, restored: false, changed });
    return outcomes;
  }

  snapshotSlices(): SnapshotSlices {
    assert(!this.#drafting, "a draft is never part of a snapshot");
    return snapshotSlices(this.#tables);
  }

  snapshot(): Buffer {
    const slices = this.snapshotSlices();
    let step = slices.next();
    while (step.done !== true) step = slices.next();
    return step.value;
  }

  restore(data: Uint8Array): void {
    assert(!this.#drafting, "nothing is restored while a draft is open");
    const snapshot = StoreSnapshot.decode(data);
    assert(snapshot.format === SNAPSHOT_FORMAT, `the snapshot has format ${SNAPSHOT_FORMAT}`);
    const tables = new Tables();
    for (const { object } of snapshot.objects) {
      assert(object !== undefined, "a snapshot has no empty object");
      tables.replace(changeTo(shared(tables, object), undefined));
    }
    tables.revision = snapshot.version;
    tables.recent = new RecentChanges(snapshot.version);
    this.#tables = tables;
    this.changes.publish({ revision: this.revision, restored: true, changed: [] });
  }
}

function shared(tables: Tables, item: Item): Item {
  if (item.$case !== "task") return item;
  return { $case: "task", value: tables.withSharedSpec(item.value) };
}

function performAll(edit: Edit, transaction: Transaction): Refusal | undefined {
  for (const { action } of transaction.actions) {
    const refusal = edit.perform(action);
    if (isRefusal(refusal)) return refusal;
  }
  return undefined;
}
