// Whole answers of dockerd, recorded: read into what a manager would store, and shown again.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Service, Task, TaskState } from "../../proto/gen/service.js";
import { type Endpoint, Endpoint as EndpointCodec, Network } from "../../proto/gen/types.js";
import {
  type JsonObject,
  numberIn,
  objectIn,
  objectsIn,
  textIn,
  textsIn,
  unsignedIn,
} from "./json.js";
import { serviceJson } from "./service-json.js";
import { serviceSpecFromJson } from "./service-spec.js";
import { taskSpecFromJson } from "./service-task.js";
import { PROTOCOLS, PUBLISH_MODES, TASK_STATES, UPDATE_STATES } from "./service-words.js";
import { taskJson } from "./task-json.js";

const recorded = JSON.parse(
  readFileSync(new URL("testdata/services.json", import.meta.url), "utf8"),
) as { readonly services: readonly JsonObject[]; readonly tasks: readonly JsonObject[] };

const VNI = "com.docker.network.driver.overlay.vxlanid_list";
const timeIn = (json: JsonObject, key: string) => Date.parse(textIn(json, key) || "1970");
const index = (json: JsonObject, key: string) => unsignedIn(objectIn(json, key), "Index") ?? 0;
const meta = (json: JsonObject) => ({
  version: index(json, "Version"),
  createdAtMs: timeIn(json, "CreatedAt"),
  updatedAtMs: timeIn(json, "UpdatedAt"),
});
const ports = (json: JsonObject) =>
  objectsIn(json, "Ports").map((port) => ({
    protocol: PROTOCOLS.valueOf(textIn(port, "Protocol")),
    targetPort: unsignedIn(port, "TargetPort") ?? 0,
    publishedPort: unsignedIn(port, "PublishedPort") ?? 0,
    publishMode: PUBLISH_MODES.valueOf(textIn(port, "PublishMode")),
  }));

function serviceOf(json: JsonObject): Service {
  const endpoint = objectIn(json, "Endpoint");
  const update = objectIn(json, "UpdateStatus");
  const job = objectIn(json, "JobStatus");
  return Service.fromPartial({
    id: textIn(json, "ID"),
    meta: meta(json),
    spec: serviceSpecFromJson(objectIn(json, "Spec"), 41),
    ...(json["PreviousSpec"]
      ? { previousSpec: serviceSpecFromJson(objectIn(json, "PreviousSpec"), 41) }
      : {}),
    ports: ports(endpoint),
    virtualIps: objectsIn(endpoint, "VirtualIPs").map((vip) => ({
      networkId: textIn(vip, "NetworkID"),
      addr: textIn(vip, "Addr"),
    })),
    ...(json["UpdateStatus"]
      ? {
          updateStatus: {
            state: UPDATE_STATES.valueOf(textIn(update, "State")),
            startedAtMs: timeIn(update, "StartedAt"),
            completedAtMs: timeIn(update, "CompletedAt"),
            message: textIn(update, "Message"),
          },
        }
      : {}),
    ...(json["JobStatus"]
      ? {
          jobStatus: {
            iteration: index(job, "JobIteration"),
            lastExecutionMs: timeIn(job, "LastExecution"),
          },
        }
      : {}),
  });
}

/** In seconds, since a manager keeps no more than milliseconds; as text, since the order of fields counts. */
function comparable(json: unknown): string {
  return (
    JSON.stringify(json)
      .replace(/(:\d\d)(?:\.\d+)?Z/g, "$1Z")
      // Nobody asked for the ingress network; SwarmKit's spec of it is half empty.
      .replace('"DriverConfiguration":{},', '"DriverConfiguration":{"Name":"overlay"},')
      .replace('"IPAMOptions":{"Driver":{}},', "")
  );
}

describe("services", () => {
  for (const [number, json] of recorded.services.entries()) {
    test(`service ${number}: ${textIn(objectIn(json, "Spec"), "Name")}`, () => {
      const counted = objectIn(json, "ServiceStatus");
      const status = json["ServiceStatus"]
        ? {
            serviceId: "",
            running: unsignedIn(counted, "RunningTasks") ?? 0,
            desired: unsignedIn(counted, "DesiredTasks") ?? 0,
            completed: unsignedIn(counted, "CompletedTasks") ?? 0,
          }
        : undefined;
      const shown = serviceJson(serviceOf(json), { insertDefaults: false, status });
      expect(comparable(shown)).toBe(comparable(json));
    });
  }
});

function taskOf(json: JsonObject): Task {
  const status = objectIn(json, "Status");
  const container = objectIn(status, "ContainerStatus");
  return Task.fromPartial({
    id: textIn(json, "ID"),
    meta: meta(json),
    serviceId: textIn(json, "ServiceID"),
    slot: unsignedIn(json, "Slot") ?? 0,
    nodeId: textIn(json, "NodeID"),
    spec: taskSpecFromJson(objectIn(json, "Spec"), 41),
    desiredState: TASK_STATES.valueOf(textIn(json, "DesiredState")),
    jobIteration: index(json, "JobIteration"),
    status: {
      state: TASK_STATES.valueOf(textIn(status, "State")),
      atMs: timeIn(status, "Timestamp"),
      message: textIn(status, "Message"),
      err: textIn(status, "Err"),
      containerId: textIn(container, "ContainerID"),
      pid: unsignedIn(container, "PID") ?? 0,
      exitCode: numberIn(container, "ExitCode") ?? 0,
      ports: ports(objectIn(status, "PortStatus")),
    },
  });
}

function networkOf(json: JsonObject): Network {
  const spec = objectIn(json, "Spec");
  return Network.fromPartial({
    id: textIn(json, "ID"),
    meta: meta(json),
    spec: {
      name: textIn(spec, "Name"),
      labels: objectIn(spec, "Labels") as Record<string, string>,
      driverOpts: objectIn(objectIn(spec, "DriverConfiguration"), "Options") as Record<
        string,
        string
      >,
      ipamDriver: textIn(objectIn(objectIn(spec, "IPAMOptions"), "Driver"), "Name"),
      attachable: spec["Attachable"] === true,
      ingress: spec["Ingress"] === true,
      ipam: objectsIn(objectIn(spec, "IPAMOptions"), "Configs").map((config) => ({
        subnet: textIn(config, "Subnet"),
        gateway: textIn(config, "Gateway"),
      })),
    },
    vni: Number(textIn(objectIn(objectIn(json, "DriverState"), "Options"), VNI)),
    subnets: objectsIn(objectIn(json, "IPAMOptions"), "Configs").map((config) => ({
      cidr: textIn(config, "Subnet"),
      gateway: textIn(config, "Gateway"),
    })),
  });
}

describe("tasks", () => {
  for (const [number, json] of recorded.tasks.entries()) {
    const task = taskOf(json);
    test(`task ${number}: ${TaskState[task.status?.state ?? 0]}`, () => {
      const attached = objectsIn(json, "NetworksAttachments");
      const networks = attached.map((each) => networkOf(objectIn(each, "Network")));
      const endpoints = attached.flatMap((each, i): readonly Endpoint[] =>
        textsIn(each, "Addresses").map((ipv4) =>
          EndpointCodec.fromPartial({ networkId: networks[i]?.id ?? "", ownerId: task.id, ipv4 }),
        ),
      );
      const shown = taskJson(task, {
        networks: new Map(networks.map((network) => [network.id, network])),
        endpoints: new Map([[task.id, endpoints]]),
        jobs: new Set(json["JobIteration"] === undefined ? [] : [task.serviceId]),
      });
      expect(comparable(shown)).toBe(comparable(json));
    });
  }
});
