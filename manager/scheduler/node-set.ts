// All nodes as the scheduler sees them, in order of their number of tasks, kept up with the store change by
// change: what a change costs does not depend on how large the swarm is.
import { type Task, TaskState } from "../../proto/gen/service.js";
import type { Node } from "../../proto/gen/types.js";
import type { StoreView } from "../store/view.js";
import { failureKeyOf } from "./demand.js";
import { type Load, loadOf, NodeInfo } from "./node-info.js";

export class NodeSet {
  readonly #infos = new Map<string, NodeInfo>();
  /** By number of tasks. */
  readonly #byLoad: Set<NodeInfo>[] = [];

  constructor(view: StoreView) {
    for (const node of view.nodes()) this.replaceNode(undefined, node);
    for (const task of view.tasks()) this.replaceTask(undefined, task);
  }

  get(nodeId: string): NodeInfo | undefined {
    return this.#infos.get(nodeId);
  }

  /** Those with the fewest tasks first. */
  *ascending(): Iterable<NodeInfo> {
    for (const infos of this.#byLoad) yield* infos;
  }

  replaceNode(before: Node | undefined, after: Node | undefined): void {
    const id = after?.id ?? before?.id ?? "";
    const info = this.#infos.get(id);
    if (after === undefined) {
      if (info !== undefined) this.#byLoad[info.tasks]?.delete(info);
      this.#infos.delete(id);
    } else if (info === undefined) {
      const fresh = new NodeInfo(after);
      this.#infos.set(id, fresh);
      this.#bucket(0).add(fresh);
    } else {
      info.setNode(after);
    }
  }

  replaceTask(before: Task | undefined, after: Task | undefined): void {
    const task = after ?? before;
    if (task === undefined || task.nodeId === "") return;
    this.put(task.nodeId, task.id, loadOf(after));
    if (after !== undefined && isFailed(after) && !(before !== undefined && isFailed(before))) {
      this.#infos.get(task.nodeId)?.noteFailure(failureKeyOf(after), after.status?.atMs ?? 0);
    }
  }

  put(nodeId: string, taskId: string, load: Load | undefined): void {
    const info = this.#infos.get(nodeId);
    if (info === undefined) return;
    const before = info.tasks;
    info.put(taskId, load);
    if (info.tasks === before) return;
    this.#byLoad[before]?.delete(info);
    this.#bucket(info.tasks).add(info);
  }

  #bucket(tasks: number): Set<NodeInfo> {
    while (this.#byLoad.length <= tasks) this.#byLoad.push(new Set());
    return this.#byLoad[tasks] ?? new Set();
  }
}

function isFailed(task: Task): boolean {
  const state = task.status?.state;
  return state === TaskState.FAILED || state === TaskState.REJECTED;
}
