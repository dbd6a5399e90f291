// Tasks as the log carries them. The spec is most of a task; it never changes, and when a task is made it is
// its service's. So it is left out where it can be found again, the same on every manager: a service of ten
// thousand tasks costs its spec once, and a report costs what it says.
import { type Refusal, refuse } from "../../common/fault.js";
import type { Task } from "../../proto/gen/service.js";
import type { Item } from "./objects.js";
import type { Tables } from "./tables.js";

/** For the log. `tables` are as they are before the change. */
export function briefItem(tables: Tables, item: Item): Item {
  if (item.$case !== "task" || item.value.spec !== specThatStands(tables, item.value)) return item;
  return { $case: "task", value: { ...item.value, spec: undefined } };
}

/** From the log. */
export function fullItem(tables: Tables, item: Item): Item | Refusal {
  if (item.$case !== "task" || item.value.spec !== undefined) return item;
  const { id, serviceId } = item.value;
  const spec = specThatStands(tables, item.value);
  if (spec !== undefined) return { $case: "task", value: { ...item.value, spec } };
  if (tables.service(serviceId) === undefined) return item;
  return refuse("failed-precondition", `task ${id} has a spec that is not there`);
}

function specThatStands(tables: Tables, { id, serviceId, specVersion }: Task): Task["spec"] {
  const before = tables.task(id);
  if (before !== undefined) return before.spec;
  const service = tables.service(serviceId);
  return service?.specVersion === specVersion ? service.spec?.task : undefined;
}
