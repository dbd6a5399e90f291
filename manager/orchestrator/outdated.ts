// Whether a task is of a template that its service does not have any more.
import {
  type PortConfig,
  PublishMode,
  type Service,
  type Task,
  type TaskSpec,
} from "../../proto/gen/service.js";
import { satisfies } from "../scheduler/constraint.js";
import type { StoreView } from "../store/view.js";
import { constraintsOf } from "./nodes.js";
import { same } from "./same.js";

/**
 * A higher version alone means nothing: a rollback comes back to a template that some tasks still have,
 * and constraints that the task's node satisfies ask for no move.
 */
export function isOutdated(view: StoreView, service: Service, task: Task): boolean {
  if (task.specVersion === service.specVersion) return false;
  const spec = service.spec?.task;
  if (!same(hostPorts(service.ports), task.hostPorts)) return true;
  if (lacksIngress(view, service, task)) return true;
  if (spec === undefined || task.spec === undefined) return spec !== task.spec;
  if (same(comparable(spec), comparable(task.spec))) return false;
  if (!same(unconstrained(spec), unconstrained(task.spec))) return true;
  const node = view.node(task.nodeId);
  return node === undefined || !satisfies(node, constraintsOf(spec));
}

/** Credentials are for pulling: tasks that run are not replaced for them. */
function comparable(spec: TaskSpec): TaskSpec {
  const { container } = spec;
  if (container === undefined || container.registryAuth === "") return spec;
  return { ...spec, container: { ...container, registryAuth: "" } };
}

function unconstrained(spec: TaskSpec): TaskSpec {
  const { placement } = spec;
  const empty = { constraints: [], spread: [], maxReplicas: 0, platforms: [] };
  return { ...comparable(spec), placement: { ...empty, ...placement, constraints: [] } };
}

function hostPorts(ports: readonly PortConfig[]): readonly PortConfig[] {
  return ports.filter((port) => port.publishMode === PublishMode.HOST);
}

/** The service began to publish on ingress after the task got its endpoints. */
function lacksIngress(view: StoreView, service: Service, task: Task): boolean {
  if (task.endpointIds.length === 0 && task.nodeId === "") return false;
  const publishes = service.ports.some((port) => port.publishMode === PublishMode.INGRESS);
  const ingress = publishes ? view.ingressNetwork() : undefined;
  if (ingress === undefined) return false;
  return !task.endpointIds.some((id) => view.endpoint(id)?.networkId === ingress.id);
}
