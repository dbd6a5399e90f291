// One node as the scheduler sees it: what it offers, less what its tasks have taken.
import { type GenericResource, type Task, TaskState } from "../../proto/gen/service.js";
import type { Node } from "../../proto/gen/types.js";
import { isOver } from "../store/work-index.js";
import { hostPortsOf } from "./demand.js";
import { GenericStock } from "./generic.js";

// SwarmKit's: failures this long ago count against a node, from this many on.
const FAILURE_MEMORY_MS = 5 * 60 * 1_000;
const FAILURES_MAX = 5;

/** What one task takes of its node. */
export interface Load {
  readonly serviceId: string;
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly generic: readonly GenericResource[];
  readonly hostPorts: readonly string[];
  /** It is to run on; one that leaves takes room, but is not counted. */
  readonly counts: boolean;
}

/** Undefined: nothing, as yet or any more. */
export function loadOf(task: Task | undefined): Load | undefined {
  if (task === undefined || task.nodeId === "" || isOver(task)) return undefined;
  if ((task.status?.state ?? TaskState.NEW) < TaskState.ASSIGNED) return undefined;
  const reserved = task.spec?.resources?.reservations;
  return {
    serviceId: task.serviceId,
    nanoCpus: reserved?.nanoCpus ?? 0,
    memoryBytes: reserved?.memoryBytes ?? 0,
    generic: task.genericResources,
    hostPorts: hostPortsOf(task),
    counts: task.desiredState < TaskState.SHUTDOWN,
  };
}

export class NodeInfo {
  #node: Node;
  nanoCpus = 0;
  memoryBytes = 0;
  generic = new GenericStock([]);
  /** Tasks that are to run on. */
  tasks = 0;
  readonly #loads = new Map<string, Load>();
  readonly #ofService = new Map<string, number>();
  readonly #hostPorts = new Map<string, number>();
  /** Times of failures by template, oldest first. */
  readonly #failures = new Map<string, number[]>();

  constructor(node: Node) {
    this.#node = node;
    this.setNode(node);
  }

  get node(): Node {
    return this.#node;
  }

  /** What it offers may have changed. */
  setNode(node: Node): void {
    const offers = node.description;
    const before = this.#node.description;
    this.#node = node;
    if (offers === before && this.nanoCpus !== 0) return;
    this.nanoCpus = offers?.nanoCpus ?? 0;
    this.memoryBytes = offers?.memoryBytes ?? 0;
    this.generic = new GenericStock(offers?.genericResources ?? []);
    for (const load of this.#loads.values()) this.#take(load);
  }

  /** By task id; the same one again replaces itself. */
  put(taskId: string, load: Load | undefined): void {
    const before = this.#loads.get(taskId);
    if (before !== undefined) {
      this.#loads.delete(taskId);
      this.#giveBack(before);
      this.#count(before, -1);
    }
    if (load === undefined) return;
    this.#loads.set(taskId, load);
    this.#take(load);
    this.#count(load, 1);
  }

  tasksOf(serviceId: string): number {
    return this.#ofService.get(serviceId) ?? 0;
  }

  hasPort(port: string): boolean {
    return this.#hostPorts.has(port);
  }

  noteFailure(key: string, atMs: number): void {
    const times = this.#failures.get(key) ?? [];
    times.push(atMs);
    this.#failures.set(key, times.slice(-FAILURES_MAX));
  }

  /** Few failures are chance and count as none. */
  failuresOf(key: string, nowMs: number): number {
    const times = this.#failures.get(key);
    if (times === undefined) return 0;
    const recent = times.filter((atMs) => atMs > nowMs - FAILURE_MEMORY_MS);
    if (recent.length === 0) this.#failures.delete(key);
    return recent.length >= FAILURES_MAX ? recent.length : 0;
  }

  #take(load: Load): void {
    this.nanoCpus -= load.nanoCpus;
    this.memoryBytes -= load.memoryBytes;
    if (load.generic.length > 0) this.generic.take(load.generic);
  }

  #giveBack(load: Load): void {
    this.nanoCpus += load.nanoCpus;
    this.memoryBytes += load.memoryBytes;
    if (load.generic.length > 0) this.generic.giveBack(load.generic);
  }

  #count(load: Load, by: 1 | -1): void {
    for (const port of load.hostPorts) add(this.#hostPorts, port, by);
    if (!load.counts) return;
    this.tasks += by;
    add(this.#ofService, load.serviceId, by);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
