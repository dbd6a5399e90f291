// A task of the swarm → Docker's Task (engine-api.yaml).
import { type Task, TaskState, type TaskStatus } from "../../proto/gen/service.js";
import type { Endpoint, IpamConfig, Network, Subnet } from "../../proto/gen/types.js";
import { mapIfAny, omitEmpty, sortedMap } from "./go-json.js";
import { optionsJson } from "./network-json.js";
import { metaJson, versionJson } from "./service-json.js";
import { portJson } from "./service-spec.js";
import { genericJson, taskSpecJson } from "./service-task.js";
import { TASK_STATES } from "./service-words.js";
import { goTime } from "./times.js";

/** What a list of tasks is shown with. */
export interface TaskContext {
  readonly networks: ReadonlyMap<string, Network>;
  /** By the task that each belongs to. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** Services that are jobs: only their tasks show an iteration. */
  readonly jobs: ReadonlySet<string>;
}

export function taskJson(task: Task, context: TaskContext): object {
  return {
    ID: task.id,
    ...metaJson(task.meta),
    Labels: {},
    Spec: task.spec ? taskSpecJson(task.spec, "task") : {},
    ...omitEmpty({ ServiceID: task.serviceId, Slot: task.slot, NodeID: task.nodeId }),
    Status: statusJson(task.status),
    ...omitEmpty({
      DesiredState: TASK_STATES.wordOf(task.desiredState),
      NetworksAttachments: attachmentsJson(task, context),
      GenericResources: task.genericResources.map(genericJson),
    }),
    ...(context.jobs.has(task.serviceId) ? { JobIteration: versionJson(task.jobIteration) } : {}),
  };
}

function statusJson(status: TaskStatus | undefined): object {
  if (!status) return { PortStatus: {} };
  return {
    Timestamp: goTime(status.atMs),
    State: TASK_STATES.wordOf(status.state),
    ...omitEmpty({ Message: status.message, Err: status.err }),
    ...(hasContainer(status)
      ? {
          ContainerStatus: {
            ContainerID: status.containerId,
            PID: status.pid,
            ExitCode: status.exitCode,
          },
        }
      : {}),
    PortStatus: omitEmpty({ Ports: status.ports.map(portJson) }),
  };
}

// dockerd tells of an empty container where its node failed before there was one.
function hasContainer({ containerId, state }: TaskStatus): boolean {
  return containerId !== "" || state === TaskState.REJECTED || state === TaskState.FAILED;
}

function attachmentsJson(task: Task, { networks, endpoints }: TaskContext): readonly object[] {
  const byNetwork = grouped(endpoints.get(task.id) ?? [], ({ networkId }) => networkId);
  return [...byNetwork].flatMap(([networkId, own]) => {
    const network = networks.get(networkId);
    const addresses = own.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]).filter(Boolean);
    return network ? [{ Network: swarmNetworkJson(network), Addresses: addresses }] : [];
  });
}

/** What has the same key, under it, in the order in which it came. */
export function grouped<T>(
  all: readonly T[],
  keyOf: (each: T) => string,
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) {
    const group = groups.get(keyOf(each));
    if (group) group.push(each);
    else groups.set(keyOf(each), [each]);
  }
  return groups;
}

/** A network as SwarmKit has it, which is not how /networks shows one. */
function swarmNetworkJson(network: Network): object {
  const { spec } = network;
  const driver = spec?.driver || "overlay";
  const ipamDriver = { Name: spec?.ipamDriver || "default" };
  const asked = (spec?.ipam ?? []).filter(({ subnet }) => subnet !== "");
  return {
    ID: network.id,
    ...metaJson(network.meta),
    Spec: {
      Name: spec?.name ?? "",
      Labels: sortedMap(spec?.labels ?? {}),
      DriverConfiguration: omitEmpty({ Name: driver, Options: mapIfAny(spec?.driverOpts ?? {}) }),
      ...omitEmpty({
        IPv6Enabled: spec?.ipv6,
        Internal: spec?.internal,
        Attachable: spec?.attachable,
        Ingress: spec?.ingress,
      }),
      ...(spec?.ipamDriver || asked.length > 0
        ? { IPAMOptions: { Driver: ipamDriver, ...omitEmpty({ Configs: asked.map(askedJson) }) } }
        : {}),
      Scope: "swarm",
    },
    DriverState: { Name: driver, Options: optionsJson(network) },
    IPAMOptions: { Driver: ipamDriver, Configs: network.subnets.map(subnetJson) },
  };
}

function askedJson({ subnet, ipRange, gateway }: IpamConfig): object {
  return omitEmpty({ Subnet: subnet, Range: ipRange, Gateway: gateway });
}

function subnetJson({ cidr, ipRange, gateway }: Subnet): object {
  return omitEmpty({ Subnet: cidr, Range: ipRange, Gateway: gateway });
}
