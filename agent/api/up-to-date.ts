// Whether a task is of the template that its service has now: what the CLI's progress counts.
import {
  type PortConfig,
  PublishMode,
  type Service,
  type Task,
  TaskSpec,
} from "../../proto/gen/service.js";

/**
 * Another version alone does not mean another template: after a rollback the tasks that were not yet
 * updated are what the service wants again, and the manager keeps them. Nor does another constraint, as
 * long as the manager keeps the task where it is.
 */
export function isUpToDate(task: Task, service: Service | undefined): boolean {
  if (service === undefined) return false;
  if (task.specVersion === service.specVersion) return true;
  const spec = service.spec?.task;
  if (spec === undefined || task.spec === undefined) return false;
  return (
    encoded(spec).equals(encoded(task.spec)) && portsOf(service.ports) === portsOf(task.hostPorts)
  );
}

function encoded(spec: TaskSpec): Buffer {
  const { container } = spec;
  const placement = { spread: [], maxReplicas: 0, platforms: [], ...spec.placement };
  const comparable: TaskSpec = {
    ...spec,
    placement: { ...placement, constraints: [] },
    container: container && { ...container, registryAuth: "" },
  };
  return Buffer.from(TaskSpec.encode(comparable).finish());
}

function portsOf(ports: readonly PortConfig[]): string {
  const host = ports.filter(({ publishMode }) => publishMode === PublishMode.HOST);
  return host.map((port) => [port.protocol, port.targetPort, port.publishedPort].join()).join(" ");
}
