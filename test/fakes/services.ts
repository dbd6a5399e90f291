// Services, secrets and tasks in a SwarmState, as short as tests want to say them.
import assert from "node:assert/strict";
import { createConfig } from "../../manager/control/config.js";
import { createSecret } from "../../manager/control/secret.js";
import { createService, updateService } from "../../manager/control/service.js";
import { UpdateServiceRequest } from "../../proto/gen/control.js";
import { type Service, ServiceSpec, Task, TaskState } from "../../proto/gen/service.js";
import type { SwarmState } from "./swarm-state.js";

export type ServiceParts = Parameters<typeof ServiceSpec.fromPartial>[0];
export type TaskParts = Parameters<typeof Task.fromPartial>[0];

/** A replicated service of one task of "alpine" named "web", with `parts` over it. */
export function serviceSpec(parts: ServiceParts = {}, container: object = {}): ServiceSpec {
  const { task, ...rest } = parts as { readonly task?: object };
  return ServiceSpec.fromPartial({
    name: "web",
    mode: { $case: "replicated", value: { replicas: 1 } },
    ...rest,
    task: { container: { image: "alpine", ...container }, ...task },
  });
}

export function makeService(swarm: SwarmState, spec: ServiceSpec): Service {
  const made = swarm.must((draft) => createService(draft, { spec }, swarm.context));
  return swarm.view.service(made.id) ?? made;
}

/** With the version of what is stored. */
export function changeService(
  swarm: SwarmState,
  id: string,
  spec: ServiceSpec | undefined,
  more: { rollback?: boolean; authFromPrevious?: boolean; version?: number } = {},
) {
  const version = swarm.view.service(id)?.meta?.version ?? 0;
  const request = UpdateServiceRequest.fromPartial({ id, version, ...more });
  return swarm.write((draft) => updateService(draft, { ...request, spec }, swarm.context));
}

/** A task of the service, as the orchestrator would make it. */
export function makeTask(swarm: SwarmState, service: Service, parts: TaskParts = {}): Task {
  const task = Task.fromPartial({
    id: swarm.context.newId(),
    serviceId: service.id,
    slot: 1,
    specVersion: service.specVersion,
    serviceName: service.spec?.name ?? "",
    desiredState: TaskState.RUNNING,
    status: { state: TaskState.NEW },
    jobIteration: service.jobStatus?.iteration ?? 0,
    ...(parts as object),
  });
  const full = { ...task, spec: service.spec?.task };
  swarm.must((draft) => draft.create("task", full));
  const made = swarm.view.task(task.id);
  assert(made);
  return made;
}

export function makeSecret(swarm: SwarmState, name: string, data = "s3cret"): string {
  const spec = { name, labels: {}, data: Buffer.from(data), templating: "" };
  return swarm.must((draft) => createSecret(draft, { spec }, swarm.context)).id;
}

export function makeConfig(swarm: SwarmState, name: string, data = "listen=80"): string {
  const spec = { name, labels: {}, data: Buffer.from(data), templating: "" };
  return swarm.must((draft) => createConfig(draft, { spec }, swarm.context)).id;
}
