// Spread preferences: tasks of a service are shared out evenly over the values of a label, within those
// over the values of the next, and within the last by rank. Without preferences there is one branch.
import type { Node } from "../../proto/gen/types.js";
import type { Demand } from "./demand.js";
import type { Heap } from "./heap.js";
import type { NodeInfo } from "./node-info.js";

interface Branch {
  /** Of the service, on all nodes of the branch that fit. */
  tasks: number;
  readonly children: readonly Branch[];
  /** On the last level. */
  readonly heap: Heap<NodeInfo> | undefined;
  isFull: boolean;
}

export class SpreadTree {
  readonly #root: Branch;
  /** The way to the node that was answered last. */
  #path: readonly Branch[] = [];

  constructor(
    infos: readonly NodeInfo[],
    demand: Demand,
    makeHeap: (infos: readonly NodeInfo[]) => Heap<NodeInfo>,
  ) {
    this.#root = grow(infos, demand, demand.spread.filter(isKnown), makeHeap);
  }

  /** The node for the next task, if one is left that still fits. The last one answered got its task. */
  next(fits: (info: NodeInfo) => boolean): NodeInfo | undefined {
    this.#settle();
    for (;;) {
      const path = descend(this.#root);
      const leaf = path[path.length - 1];
      const info = leaf?.heap?.first();
      if (leaf === undefined || info === undefined) {
        if (leaf === this.#root || leaf === undefined || this.#root.isFull) return undefined;
        leaf.isFull = true;
        continue;
      }
      if (fits(info)) {
        this.#path = path;
        return info;
      }
      leaf.heap?.removeFirst();
    }
  }

  /** The node answered last did not get its task, and is not asked again. */
  discard(info: NodeInfo): void {
    const leaf = this.#path[this.#path.length - 1];
    if (leaf?.heap?.first() === info) leaf.heap.removeFirst();
    this.#path = [];
  }

  #settle(): void {
    for (const branch of this.#path) {
      branch.tasks++;
      branch.heap?.settle();
    }
    this.#path = [];
  }
}

function grow(
  infos: readonly NodeInfo[],
  demand: Demand,
  descriptors: readonly string[],
  makeHeap: (infos: readonly NodeInfo[]) => Heap<NodeInfo>,
): Branch {
  const tasks = infos.reduce((sum, info) => sum + info.tasksOf(demand.serviceId), 0);
  const [descriptor, ...rest] = descriptors;
  if (descriptor === undefined) {
    return { tasks, children: [], heap: makeHeap(infos), isFull: false };
  }
  const groups = new Map<string, NodeInfo[]>();
  for (const info of infos) {
    const value = labelOf(info.node, descriptor);
    const group = groups.get(value);
    if (group === undefined) groups.set(value, [info]);
    else group.push(info);
  }
  const children = [...groups.values()].map((group) => grow(group, demand, rest, makeHeap));
  return { tasks, children, heap: undefined, isFull: false };
}

/** Down the branches with the fewest tasks, past those that are full. */
function descend(root: Branch): readonly Branch[] {
  const path = [root];
  for (let branch = root; branch.heap === undefined; ) {
    let least: Branch | undefined;
    for (const child of branch.children) {
      if (!child.isFull && (least === undefined || child.tasks < least.tasks)) least = child;
    }
    if (least === undefined) {
      // All below are full, so this one is.
      branch.isFull = true;
      return path;
    }
    path.push(least);
    branch = least;
  }
  return path;
}

const NODE_LABEL = "node.labels.";
const ENGINE_LABEL = "engine.labels.";

/** SwarmKit passes over what it does not know, too. */
function isKnown(descriptor: string): boolean {
  const lower = descriptor.toLowerCase();
  return lower.startsWith(NODE_LABEL) || lower.startsWith(ENGINE_LABEL);
}

/** Nodes without the label are a branch of their own. */
function labelOf(node: Node, descriptor: string): string {
  const lower = descriptor.toLowerCase();
  if (lower.startsWith(NODE_LABEL)) {
    return node.spec?.labels[descriptor.slice(NODE_LABEL.length)] ?? "";
  }
  return node.description?.engineLabels[descriptor.slice(ENGINE_LABEL.length)] ?? "";
}
