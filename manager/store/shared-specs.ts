// The tasks of a service say the same of what they run, thousands of times. They come out of the log one by
// one, each with a copy; here the copies are given up for one. Objects are immutable, so nobody can tell.
import { isDeepStrictEqual } from "node:util";
import type { Service, Task, TaskSpec } from "../../proto/gen/service.js";

export class SharedSpecs {
  /** By service and version of its spec, with how many tasks have that version. */
  readonly #specs = new Map<string, { readonly spec: TaskSpec; count: number }>();

  /** What stands for the task's spec: its own, if no other says the same. */
  of(task: Task, before: Task | undefined, service: Service | undefined): TaskSpec | undefined {
    if (task.spec === undefined) return undefined;
    // Credentials may differ within a version.
    const current = service?.specVersion === task.specVersion ? service.spec?.task : undefined;
    for (const spec of [before?.spec, this.#specs.get(keyOf(task))?.spec, current]) {
      if (spec !== undefined && isDeepStrictEqual(spec, task.spec)) return spec;
    }
    return task.spec;
  }

  replace(before: Task | undefined, after: Task | undefined): void {
    if (before?.serviceId === after?.serviceId && before?.specVersion === after?.specVersion)
      return;
    if (after?.spec !== undefined) {
      const known = this.#specs.get(keyOf(after));
      if (known === undefined) this.#specs.set(keyOf(after), { spec: after.spec, count: 1 });
      else known.count++;
    }
    const known = before?.spec && this.#specs.get(keyOf(before));
    if (before !== undefined && known && --known.count === 0) this.#specs.delete(keyOf(before));
  }
}

function keyOf(task: Task): string {
  return `${task.serviceId}/${task.specVersion}`;
}
