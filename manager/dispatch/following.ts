// How far a node's agent follows the store, for as long as its session lasts: what it has been sent, what it has applied,
// and what it is to be sent next. What is due is only noted, and made when the agent can take it: however much changes
// meanwhile, a slow one gets fewer and larger messages.
import { type Applied, type Assignments, NodeUpdate } from "../../proto/gen/dispatcher.js";
import type { StoreView } from "../store/view.js";
import type { Affected } from "./affected.js";
import { assignmentsFor, isEmptyDelta } from "./assignments.js";
import type { NodeWay } from "./data-path-move.js";
import { nodeUpdateFor } from "./node-update.js";
import type { SharedDeltas } from "./shared-deltas.js";

// There are never more than two; and a sentence is a sentence.
const PORTS_MAX = 4;
const PROBLEM_MAX = 500;

/** Whatever the agent holds, it has not said that it is so; and it is told something in any case. */
export const NEVER_SENT = 1;

export class Following {
  #sent = NEVER_SENT;
  #applied = 0;
  #assignmentsDue = true;
  #updateDue = true;
  #isFirst = true;
  /** The last NodeUpdate sent, encoded: it is sent again only when it says something else. */
  #lastUpdate: Uint8Array | undefined;
  #way: Pick<NodeWay, "ports" | "problem"> = { ports: [], problem: "" };

  constructor(
    readonly nodeId: string,
    /** What the agent holds; 0: nothing. */
    private revision: number,
  ) {}

  /** The revision of the last assignments that it was sent. */
  get sent(): number {
    return this.#sent;
  }

  /** The last revision that it has said it has applied. */
  get applied(): number {
    return this.#applied;
  }

  /** There is something that it has not been sent yet. */
  get assignmentsDue(): boolean {
    return this.#assignmentsDue;
  }

  /** What it has said last of its data path. */
  get way(): Pick<NodeWay, "ports" | "problem"> {
    return this.#way;
  }

  /**
   * The store is at this revision now. Answers whether there is something to send. What does not concern the node need
   * not be noted.
   */
  note({ nodeUpdates, assignments }: Affected, revision: number): boolean {
    const concerns = (nodes: "all" | ReadonlySet<string>) =>
      nodes === "all" || nodes.has(this.nodeId);
    if (concerns(nodeUpdates)) this.#updateDue = true;
    if (concerns(assignments) && !this.#assignmentsDue) {
      this.#assignmentsDue = true;
      // All that came before it did not concern the node and is known to it by that; so a quiet node does not fall out
      // of the memory of changes, and those that were told at other times are told the same now.
      this.revision = revision - 1;
    }
    return this.#updateDue || this.#assignmentsDue;
  }

  /** What it says it has applied; also of what it held before this session, should nothing have changed for it since. */
  hasApplied({ revision, dataPathPorts, dataPathProblem }: Applied, newest: number): void {
    this.#way = {
      ports: dataPathPorts.slice(0, PORTS_MAX),
      problem: dataPathProblem.slice(0, PROBLEM_MAX),
    };
    this.#applied = Math.max(this.#applied, Math.min(revision, newest));
  }

  /** What to send of the node itself; undefined: nothing new. "removed": the swarm does not have it any more. */
  takeUpdate(view: StoreView): NodeUpdate | "removed" | undefined {
    if (!this.#updateDue) return undefined;
    this.#updateDue = false;
    const update = nodeUpdateFor(view, this.nodeId);
    if (update === undefined) return "removed";
    const bytes = NodeUpdate.encode(update).finish();
    if (this.#lastUpdate && Buffer.compare(this.#lastUpdate, bytes) === 0) return undefined;
    this.#lastUpdate = bytes;
    return update;
  }

  /** What to send of its networks and tasks; undefined: nothing new, it is up to date. */
  takeAssignments(view: StoreView, shared: SharedDeltas): Assignments | undefined {
    if (!this.#assignmentsDue) return undefined;
    this.#assignmentsDue = false;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    const assignments = isFirst
      ? assignmentsFor(view, this.nodeId, this.revision, true)
      : shared.for(view, this.nodeId, this.revision);
    this.revision = assignments.revision;
    // The first is sent even if empty: the agent waits for it to know that it is up to date.
    if (!isFirst && isEmptyDelta(assignments)) return undefined;
    this.#sent = assignments.revision;
    return assignments;
  }
}
