// Gives waiting tasks to nodes. Follows the store change by change; what is decided in a draft is taken of
// the nodes at once, and becomes theirs, or free again, when the draft's outcome is known (`settle`).
import { isRefusal } from "../../common/fault.js";
import { type Service, type Task, TaskState } from "../../proto/gen/service.js";
import { NodeState } from "../../proto/gen/types.js";
import type { Context } from "../control/context.js";
import type { Change } from "../store/objects.js";
import type { Draft, StoreView } from "../store/view.js";
import { assignTask, explainTask } from "./assign.js";
import { type Demand, demandOf } from "./demand.js";
import { objectionTo } from "./filters.js";
import type { Load, NodeInfo } from "./node-info.js";
import { NodeSet } from "./node-set.js";
import { place } from "./place.js";
import { Tally } from "./reasons.js";

/** Waits for a node, or for word that the one that it has takes it. */
function isWaiting(task: Task | undefined): task is Task {
  return (
    task !== undefined &&
    (task.status?.state ?? TaskState.NEW) < TaskState.ASSIGNED &&
    task.desiredState < TaskState.SHUTDOWN
  );
}

// Tasks of one template are alike to every filter; those that have a node are looked at there alone.
function groupOf(task: Task): string {
  return `${task.serviceId}/${task.specVersion}/${task.nodeId}`;
}

export class Scheduler {
  #nodes: NodeSet;
  /** Task ids by group, to be placed. */
  readonly #ready = new Map<string, Set<string>>();
  /** Groups for which no node was found: they are looked at again when something was freed. */
  readonly #stuck = new Map<string, Set<string>>();
  readonly #reserved: { readonly nodeId: string; readonly taskId: string }[] = [];
  #freed = false;

  constructor(view: StoreView) {
    this.#nodes = new NodeSet(view);
    for (const task of view.tasks()) if (isWaiting(task)) this.#add(task);
  }

  /** Takes note of what an applied entry changed. */
  note(changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.kind) {
        case "node":
          this.#nodes.replaceNode(change.before, change.after);
          this.#freed = true;
          break;
        case "task":
          this.#noteTask(change.before, change.after);
          break;
        case "endpoint":
          // A full network has an address again.
          if (change.after === undefined) this.#freed = true;
      }
    }
  }

  get hasReady(): boolean {
    return this.#ready.size > 0;
  }

  /** Whether those that found no node may find one now. */
  get mayRetry(): boolean {
    return this.#freed && this.#stuck.size > 0;
  }

  retry(): void {
    this.#freed = false;
    for (const [group, ids] of this.#stuck) {
      const ready = this.#ready.get(group);
      if (ready === undefined) this.#ready.set(group, ids);
      else for (const id of ids) ready.add(id);
    }
    this.#stuck.clear();
  }

  /** Places, or explains, at most `most` tasks. Follow it with `settle` when the draft's outcome is known. */
  run(draft: Draft, ctx: Context, most: number): void {
    let left = most;
    for (const [group, ids] of this.#ready) {
      if (left <= 0) return;
      const tasks: Task[] = [];
      for (const id of ids) {
        if (tasks.length === left) break;
        const task = draft.task(id);
        if (isWaiting(task) && groupOf(task) === group) tasks.push(task);
        else ids.delete(id);
      }
      left -= tasks.length;
      const [first] = tasks;
      const service = first && draft.service(first.serviceId);
      if (first === undefined || service === undefined) this.#ready.delete(group);
      else this.#runGroup(draft, ctx, group, service, tasks);
    }
  }

  /** What was decided is in the store by now, or came to nothing; then it is to be decided again. */
  settle(view: StoreView): void {
    for (const { nodeId, taskId } of this.#reserved.splice(0)) {
      const task = view.task(taskId);
      if (isWaiting(task)) {
        this.#nodes.put(nodeId, taskId, undefined);
        this.#add(task);
        this.#last(groupOf(task));
      }
    }
  }

  #runGroup(
    draft: Draft,
    ctx: Context,
    group: string,
    service: Service,
    tasks: readonly Task[],
  ): void {
    const [first] = tasks;
    if (first === undefined) return;
    const demand = demandOf(draft, first);
    // Lowest slot first, from the end.
    const waiting = [...tasks].reverse();
    let refused: string | undefined;
    const take = (info: NodeInfo): boolean => {
      const task = waiting[waiting.length - 1];
      if (task === undefined || refused !== undefined) return false;
      // What this entry has already taken away is not in the node set yet.
      const node = draft.node(info.node.id);
      if (node === undefined || node.state !== NodeState.READY) return false;
      refused = this.#assign(draft, ctx, service, task, info, demand);
      if (refused !== undefined) return false;
      waiting.pop();
      this.#take(group, task.id);
      return true;
    };
    if (first.nodeId === "") place(this.#nodes, demand, tasks.length, ctx.nowMs, take);
    else this.#confirm(first.nodeId, demand, take);
    if (waiting.length === 0) return;
    const why = refused ?? this.#explain(demand, first.nodeId);
    for (const task of waiting) {
      explainTask(draft, task, why, ctx.nowMs);
      this.#take(group, task.id);
      addTo(this.#stuck, group, task.id);
    }
  }

  #confirm(nodeId: string, demand: Demand, take: (info: NodeInfo) => boolean): void {
    const info = this.#nodes.get(nodeId);
    if (info !== undefined && objectionTo(info, demand) === undefined) take(info);
  }

  /** Why not, if not. */
  #assign(
    draft: Draft,
    ctx: Context,
    service: Service,
    task: Task,
    info: NodeInfo,
    demand: Demand,
  ): string | undefined {
    const choice = info.generic.choose(demand.generic);
    if ("short" in choice) return `no suitable node (insufficient ${choice.short})`;
    const nodeId = info.node.id;
    const refusal = assignTask(draft, service, task, { nodeId, generic: choice.given }, ctx);
    if (isRefusal(refusal)) return refusal.message;
    this.#nodes.put(nodeId, task.id, loadFrom(demand, choice.given));
    this.#reserved.push({ nodeId, taskId: task.id });
    return undefined;
  }

  #explain(demand: Demand, nodeId: string): string {
    const tally = new Tally();
    const infos = nodeId === "" ? this.#nodes.ascending() : [this.#nodes.get(nodeId)];
    for (const info of infos) {
      const objection = info && objectionTo(info, demand);
      if (objection !== undefined) tally.add(objection.reason, objection.detail);
    }
    return tally.sentence();
  }

  #noteTask(before: Task | undefined, after: Task | undefined): void {
    this.#nodes.replaceTask(before, after);
    if (isWaiting(before)) this.#forget(before);
    // One that was explained, or only changed what is wanted of it, is as stuck as it was.
    if (isWaiting(after)) {
      if (isWaiting(before) && before.status?.err !== after.status?.err) {
        addTo(this.#stuck, groupOf(after), after.id);
      } else {
        this.#add(after);
      }
    }
    const task = after ?? before;
    const wasThere = before !== undefined && before.nodeId !== "";
    if (wasThere && task !== undefined && (after === undefined || !sameHold(before, after))) {
      this.#freed = true;
    }
  }

  /** Behind the others, so that one that is refused again and again does not stop them. */
  #last(group: string): void {
    const ids = this.#ready.get(group);
    if (ids === undefined) return;
    this.#ready.delete(group);
    this.#ready.set(group, ids);
  }

  #add(task: Task): void {
    addTo(this.#ready, groupOf(task), task.id);
  }

  #forget(task: Task): void {
    const group = groupOf(task);
    removeFrom(this.#ready, group, task.id);
    removeFrom(this.#stuck, group, task.id);
  }

  #take(group: string, taskId: string): void {
    removeFrom(this.#ready, group, taskId);
  }
}

function loadFrom(demand: Demand, generic: Load["generic"]): Load {
  const { serviceId, nanoCpus, memoryBytes, hostPorts } = demand;
  return { serviceId, nanoCpus, memoryBytes, generic, hostPorts, counts: true };
}

/** It takes as much of its node as before: nobody waits for such a change. */
function sameHold(before: Task, after: Task): boolean {
  const isOver = (task: Task) => (task.status?.state ?? TaskState.NEW) > TaskState.RUNNING;
  const counts = (task: Task) => task.desiredState < TaskState.SHUTDOWN;
  return isOver(before) === isOver(after) && counts(before) === counts(after);
}

function addTo(groups: Map<string, Set<string>>, group: string, id: string): void {
  const ids = groups.get(group);
  if (ids === undefined) groups.set(group, new Set([id]));
  else ids.add(id);
}

function removeFrom(groups: Map<string, Set<string>>, group: string, id: string): void {
  const ids = groups.get(group);
  ids?.delete(id);
  if (ids?.size === 0) groups.delete(group);
}
