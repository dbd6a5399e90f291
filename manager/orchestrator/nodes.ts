// Which nodes may have a task of a service, as far as the orchestrator must know: the scheduler looks at
// the rest.
import { isRefusal } from "../../common/fault.js";
import type { Task, TaskSpec } from "../../proto/gen/service.js";
import { Availability, type Node, NodeState } from "../../proto/gen/types.js";
import { type Constraint, parseConstraints, satisfies } from "../scheduler/constraint.js";
import { hasPlatform } from "../scheduler/platform.js";
import type { StoreView } from "../store/view.js";

/** What becomes of a task because of its node. `lost`: nobody there can stop it. */
export type NodeVerdict = "stays" | "leaves" | "lost" | "gone";

export function verdictOf(view: StoreView, task: Task): NodeVerdict {
  if (task.nodeId === "") return "stays";
  const node = view.node(task.nodeId);
  if (node === undefined) return "gone";
  if (node.state === NodeState.DOWN) return "lost";
  return mayStay(node, task.spec) ? "stays" : "leaves";
}

/** A task that is there may go on. */
export function mayStay(node: Node, spec: TaskSpec | undefined): boolean {
  return (
    node.state !== NodeState.DOWN &&
    node.spec?.availability !== Availability.DRAIN &&
    satisfies(node, constraintsOf(spec))
  );
}

/** A task may be made for it. */
export function mayStart(node: Node, spec: TaskSpec | undefined): boolean {
  return (
    node.state === NodeState.READY &&
    node.spec?.availability === Availability.ACTIVE &&
    satisfies(node, constraintsOf(spec)) &&
    hasPlatform(node, spec?.placement?.platforms ?? [])
  );
}

// A spec never changes, and is asked for its constraints by every plan.
const parsed = new WeakMap<TaskSpec, readonly Constraint[]>();

/** Text that has no meaning was refused when the service was made; should there be any, no node fits. */
export function constraintsOf(spec: TaskSpec | undefined): readonly Constraint[] {
  if (spec === undefined) return [];
  let constraints = parsed.get(spec);
  if (constraints === undefined) {
    const result = parseConstraints(spec.placement?.constraints ?? []);
    constraints = isRefusal(result) ? [{ key: "", equal: true, value: "" }] : result;
    parsed.set(spec, constraints);
  }
  return constraints;
}
