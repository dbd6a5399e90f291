// One run of changes that can be taken back: what a transaction is while it is being made.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { StoreAction } from "../../proto/gen/store.js";
import type { Meta } from "../../proto/gen/types.js";
import { fullItem } from "./brief-tasks.js";
import {
  type Change,
  changeTo,
  type Item,
  isKind,
  type Kind,
  metaOf,
  removalOf,
  reverseOf,
  versionOf,
  withMeta,
} from "./objects.js";
import { findViolation } from "./rules.js";
import type { Tables } from "./tables.js";

/** The version of what was changed by an entry that has no index yet, or by this very entry. */
export const UNCOMMITTED = 0;

export class Edit {
  readonly #done: Change[] = [];

  constructor(
    private readonly tables: Tables,
    private readonly version: number,
    private readonly nowMs: number,
  ) {}

  get changes(): readonly Change[] {
    return this.#done;
  }

  create(item: Item): Refusal | undefined {
    const { id } = item.value;
    if (id === "") return refuse("invalid-argument", `a ${item.$case} needs an id`);
    if (this.tables.get(item.$case, id) !== undefined) {
      return refuse("already-exists", `${item.$case} ${id} already exists`);
    }
    const { version, nowMs } = this;
    const meta = { version, createdVersion: version, createdAtMs: nowMs, updatedAtMs: nowMs };
    return this.#replace(changeTo(withMeta(item, meta), undefined));
  }

  update(item: Item): Refusal | undefined {
    const before = this.tables.get(item.$case, item.value.id);
    if (before === undefined)
      return refuse("not-found", `${item.$case} ${item.value.id} not found`);
    const read = versionOf(item.value);
    // UNCOMMITTED names what an earlier transaction of the same entry made.
    if (versionOf(before) !== (read === UNCOMMITTED ? this.version : read)) {
      return refuse("failed-precondition", "update out of sequence");
    }
    const { createdVersion, createdAtMs } = metaOf(before);
    const meta: Meta = {
      version: this.version,
      createdVersion,
      createdAtMs,
      updatedAtMs: this.nowMs,
    };
    return this.#replace(changeTo(withMeta(item, meta), before));
  }

  remove(kind: Kind, id: string): Refusal | undefined {
    const before = this.tables.get(kind, id);
    return before === undefined ? undefined : this.#replace(removalOf(kind, id, before));
  }

  /** As the log says it. An action that this release does not know is a refusal on every manager alike. */
  perform(action: StoreAction["action"]): Refusal | undefined {
    switch (action?.$case) {
      case "create":
      case "update": {
        const item = action.value.object && fullItem(this.tables, action.value.object);
        if (item === undefined) break;
        if (isRefusal(item)) return item;
        return action.$case === "create" ? this.create(item) : this.update(item);
      }
      case "remove":
        if (isKind(action.value.kind)) return this.remove(action.value.kind, action.value.id);
        break;
    }
    return refuse("unimplemented", "an action of a newer release");
  }

  undo(): void {
    for (let change = this.#done.pop(); change !== undefined; change = this.#done.pop()) {
      this.tables.replace(reverseOf(change));
    }
  }

  #replace(changed: Change): Refusal | undefined {
    const isTask = changed.kind === "task" && changed.after !== undefined;
    const change = isTask
      ? { ...changed, after: this.tables.withSharedSpec(changed.after) }
      : changed;
    const violation = findViolation(this.tables, change);
    if (violation !== undefined) return violation;
    this.tables.replace(change);
    this.#done.push(change);
    return undefined;
  }
}
