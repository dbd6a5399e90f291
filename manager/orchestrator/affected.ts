// Which services a change may ask something of.
import type { StoreChange, StoreView } from "../store/view.js";
import { isGlobal } from "./task.js";

export class Affected {
  /** They look at every node. */
  readonly #globals = new Set<string>();

  /** All of them, those too that are gone while their tasks are not. */
  begin(view: StoreView, ids: Set<string>): void {
    this.#globals.clear();
    for (const { id, spec } of view.services()) {
      ids.add(id);
      if (isGlobal(spec)) this.#globals.add(id);
    }
    for (const { serviceId } of view.tasks()) ids.add(serviceId);
  }

  /** Adds to `ids`. */
  note(change: StoreChange, view: StoreView, ids: Set<string>): void {
    if (change.restored) this.begin(view, ids);
    for (const each of change.changed) {
      switch (each.kind) {
        case "service":
          ids.add(each.id);
          if (isGlobal(each.after?.spec)) this.#globals.add(each.id);
          else this.#globals.delete(each.id);
          break;
        case "task":
          ids.add((each.after ?? each.before)?.serviceId ?? "");
          break;
        case "node":
          for (const { serviceId } of view.tasksOn(each.id)) ids.add(serviceId);
          for (const id of this.#globals) ids.add(id);
          break;
        case "cluster": {
          const before = each.before?.spec?.taskHistoryLimit;
          if (before !== each.after?.spec?.taskHistoryLimit) this.begin(view, ids);
        }
      }
    }
  }
}
