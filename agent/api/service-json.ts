// A service of the swarm → Docker's Service (engine-api.yaml).
import type { ServiceStatus } from "../../proto/gen/control.js";
import type { JobStatus, Service, UpdateStatus } from "../../proto/gen/service.js";
import type { Meta } from "../../proto/gen/types.js";
import { omitEmpty } from "./go-json.js";
import { withDefaults } from "./service-defaults.js";
import { endpointSpecJson, portJson, serviceSpecJson } from "./service-spec.js";
import { UPDATE_STATES } from "./service-words.js";
import { goTime } from "./times.js";

export interface ServiceDetail {
  readonly insertDefaults: boolean;
  readonly status: ServiceStatus | undefined;
}

export function serviceJson(service: Service, detail: ServiceDetail): object {
  const { spec, previousSpec, updateStatus, jobStatus } = service;
  const shown = spec && detail.insertDefaults ? withDefaults(spec) : spec;
  return {
    ID: service.id,
    ...metaJson(service.meta),
    Spec: shown ? serviceSpecJson(shown) : {},
    ...(previousSpec ? { PreviousSpec: serviceSpecJson(previousSpec) } : {}),
    Endpoint: endpointJson(service),
    ...(updateStatus ? { UpdateStatus: updateStatusJson(updateStatus) } : {}),
    ...(detail.status ? { ServiceStatus: statusJson(detail.status) } : {}),
    ...(jobStatus ? { JobStatus: jobStatusJson(jobStatus) } : {}),
  };
}

export function metaJson(meta: Meta | undefined): object {
  return {
    Version: versionJson(meta?.version ?? 0),
    CreatedAt: goTime(meta?.createdAtMs ?? 0),
    UpdatedAt: goTime(meta?.updatedAtMs ?? 0),
  };
}

export function versionJson(index: number): object {
  return omitEmpty({ Index: index });
}

// A service that was given neither address nor port has an endpoint of which nothing is known.
function endpointJson({ spec, ports, virtualIps }: Service): object {
  if (!spec?.endpoint || (ports.length === 0 && virtualIps.length === 0)) return { Spec: {} };
  return {
    Spec: endpointSpecJson(spec.endpoint),
    ...omitEmpty({
      Ports: ports.map(portJson),
      VirtualIPs: virtualIps.flatMap(({ networkId, addr, addrIpv6 }) =>
        [addr, ...(addrIpv6 ? [addrIpv6] : [])].map((each) =>
          omitEmpty({ NetworkID: networkId, Addr: each }),
        ),
      ),
    }),
  };
}

function updateStatusJson(status: UpdateStatus): object {
  return omitEmpty({
    State: UPDATE_STATES.wordOf(status.state),
    StartedAt: status.startedAtMs === 0 ? undefined : goTime(status.startedAtMs),
    CompletedAt: status.completedAtMs === 0 ? undefined : goTime(status.completedAtMs),
    Message: status.message,
  });
}

function statusJson({ running, desired, completed }: ServiceStatus): object {
  return { RunningTasks: running, DesiredTasks: desired, CompletedTasks: completed };
}

function jobStatusJson({ iteration, lastExecutionMs }: JobStatus): object {
  return { JobIteration: versionJson(iteration), LastExecution: goTime(lastExecutionMs) };
}
