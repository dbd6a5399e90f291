// Chooses nodes for tasks of one template: where the service has fewest, then where there are fewest tasks
// at all; a node on which it failed again and again comes last. Spread preferences come before that.
import type { Demand } from "./demand.js";
import { objectionTo } from "./filters.js";
import { Heap } from "./heap.js";
import type { NodeInfo } from "./node-info.js";
import type { NodeSet } from "./node-set.js";
import { SpreadTree } from "./spread.js";

/** Takes the next task; `false`: it did not come to that node after all, which is not asked again. */
export type Take = (info: NodeInfo) => boolean;

/** Gives `count` tasks to nodes, in order; answers how many found one. */
export function place(
  nodes: NodeSet,
  demand: Demand,
  count: number,
  nowMs: number,
  take: Take,
): number {
  if (demand.spread.length === 0) {
    const fresh = freshNodes(nodes, demand, count, nowMs);
    if (fresh !== undefined) return fresh.filter(take).length;
  }
  const fitting: NodeInfo[] = [];
  for (const info of nodes.ascending()) {
    if (objectionTo(info, demand) === undefined) fitting.push(info);
  }
  const source = new SpreadTree(fitting, demand, (infos) => heapOf(infos, demand, nowMs));
  let placed = 0;
  while (placed < count) {
    const info = source.next((each) => objectionTo(each, demand) === undefined);
    if (info === undefined) break;
    if (take(info)) placed++;
    else source.discard(info);
  }
  return placed;
}

/**
 * The best nodes of all, if there are as many as tasks: those without a task of the service, with the
 * fewest tasks. The search ends when they are found, so it does not grow with the swarm.
 */
function freshNodes(
  nodes: NodeSet,
  demand: Demand,
  count: number,
  nowMs: number,
): readonly NodeInfo[] | undefined {
  const found: NodeInfo[] = [];
  for (const info of nodes.ascending()) {
    if (info.tasksOf(demand.serviceId) > 0) continue;
    if (info.failuresOf(demand.failureKey, nowMs) > 0) continue;
    if (objectionTo(info, demand) !== undefined) continue;
    found.push(info);
    if (found.length === count) return found;
  }
  return undefined;
}

function heapOf(infos: readonly NodeInfo[], demand: Demand, nowMs: number): Heap<NodeInfo> {
  const failures = new Map<NodeInfo, number>();
  for (const info of infos) {
    const count = info.failuresOf(demand.failureKey, nowMs);
    if (count > 0) failures.set(info, count);
  }
  return new Heap(infos, (a, b) => {
    const failed = (failures.get(a) ?? 0) - (failures.get(b) ?? 0);
    if (failed !== 0) return failed;
    return a.tasksOf(demand.serviceId) - b.tasksOf(demand.serviceId) || a.tasks - b.tasks;
  });
}
