// POST /containers/create → ContainerSpec. What is asked for and cannot be honoured is refused with a
// sentence that names it: a limit or a mount that silently is not there is worse than none.
import type { ContainerSpec, EndpointWish } from "../seams.js";
import { badRequest, HttpError, unserved } from "./http-error.js";
import {
  consoleSizeIn,
  flagIn,
  type Json,
  type JsonObject,
  labelsIn,
  numberIn,
  objectIn,
  objectOf,
  textIn,
  textMapIn,
  textsIn,
  wordsIn,
} from "./json.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: from v1.44 a container may be created on more than one network.
const SEVERAL_NETWORKS_SINCE: ApiMinor = 44;
const STOP_TIMEOUT_DEFAULT_SECONDS = 10;

export interface ContainerRequest {
  readonly spec: ContainerSpec;
  /** For whoever asked; the CLI prints them. */
  readonly warnings: readonly string[];
}

export function containerRequest(
  name: string,
  json: JsonObject,
  version: ApiMinor,
): ContainerRequest {
  const host = objectIn(json, "HostConfig");
  const warnings: string[] = [];
  checkRuntime(textIn(json, "Image"), textIn(host, "Runtime"), warnings);
  for (const refuse of [...HOST_FIELDS, ...CONFIG_FIELDS]) {
    const object = refuse.of === "HostConfig" ? host : json;
    if (isAsked(object[refuse.key]))
      throw unserved(`${refuse.what} (${refuse.of}.${refuse.key}) is`);
  }
  checkRestart(objectIn(host, "RestartPolicy"));
  checkLog(objectIn(host, "LogConfig"));
  const network = networking(json, host, version, warnings);
  const spec: ContainerSpec = {
    name: name.replace(/^\//, ""),
    image: textIn(json, "Image") || "process",
    runtime: "process",
    entrypoint: wordsIn(json, "Entrypoint").filter((word) => word !== ""),
    command: wordsIn(json, "Cmd"),
    env: textsIn(json, "Env"),
    workingDir: textIn(json, "WorkingDir"),
    user: textIn(json, "User"),
    hostname: textIn(json, "Hostname"),
    tty: flagIn(json, "Tty"),
    consoleSize: consoleSizeIn(host),
    openStdin: flagIn(json, "OpenStdin"),
    labels: labelsIn(json),
    autoRemove: flagIn(host, "AutoRemove"),
    stopSignal: textIn(json, "StopSignal") || "SIGTERM",
    stopTimeoutSeconds: numberIn(json, "StopTimeout") ?? STOP_TIMEOUT_DEFAULT_SECONDS,
    ...network,
  };
  return { spec, warnings };
}

function checkRuntime(image: string, runtime: string, warnings: string[]): void {
  if (runtime !== "" && runtime !== "process") {
    throw badRequest(`unknown or invalid runtime name: ${runtime}`);
  }
  if (image === "" || image === "process") return;
  if (runtime === "") {
    throw new HttpError(
      501,
      `cannot run image "${image}": container images are not part of this release of Skein. ` +
        `To run a command of this machine in a sandbox, say "process" for the image`,
    );
  }
  warnings.push(
    `Image "${image}" is not used: the process runtime runs a command of this machine.`,
  );
}

function checkRestart(policy: JsonObject): void {
  const name = textIn(policy, "Name");
  if (name !== "" && name !== "no") throw unserved(`restart policy "${name}" is`);
}

function checkLog(log: JsonObject): void {
  const type = textIn(log, "Type");
  if (type !== "" && type !== "json-file") throw unserved(`log driver "${type}" is`);
  const [option] = Object.keys(textMapIn(log, "Config"));
  if (option !== undefined) throw unserved(`log option "${option}" (HostConfig.LogConfig) is`);
}

interface Networking {
  readonly networkMode: ContainerSpec["networkMode"];
  readonly endpoints: readonly EndpointWish[];
}

function networking(
  json: JsonObject,
  host: JsonObject,
  version: ApiMinor,
  warnings: string[],
): Networking {
  const mode = textIn(host, "NetworkMode");
  const configs = Object.entries(objectIn(objectIn(json, "NetworkingConfig"), "EndpointsConfig"));
  if (configs.length > 1 && version < SEVERAL_NETWORKS_SINCE) {
    const names = configs.map(([network]) => network).sort();
    throw badRequest(`Container cannot be connected to network endpoints: ${names.join(", ")}`);
  }
  if (mode.startsWith("container:")) throw unserved(`network mode "${mode}" is`);
  const wishes = configs
    .filter(([network]) => !["", "default", "none", "host"].includes(network))
    .map(([network, config]) => endpointWish(network, objectOf(config, network)));
  if (mode === "host" || mode === "none") return { networkMode: mode, endpoints: wishes };
  if (mode !== "" && mode !== "default" && !wishes.some(({ network }) => network === mode)) {
    wishes.unshift({ network: mode, aliases: [], ipv4: "", ipv6: "" });
  }
  if (wishes.length > 0) return { networkMode: "networks", endpoints: wishes };
  warnings.push(
    "There is no default bridge network in this release of Skein: the container has a loopback interface only. Use --network.",
  );
  return { networkMode: "none", endpoints: [] };
}

function endpointWish(network: string, config: JsonObject): EndpointWish {
  const ipam = objectIn(config, "IPAMConfig");
  if (isAsked(config["MacAddress"] ?? null)) throw unserved("choosing a MAC address is");
  if (isAsked(config["Links"] ?? null)) throw unserved("links between containers are");
  if (isAsked(config["DriverOpts"])) throw unserved("driver options of an endpoint are");
  if (isAsked(config["GwPriority"]))
    throw unserved("choosing the default gateway (gw-priority) is");
  if (isAsked(ipam["LinkLocalIPs"])) throw unserved("choosing link-local addresses is");
  return {
    network,
    aliases: textsIn(config, "Aliases"),
    ipv4: textIn(ipam, "IPv4Address"),
    ipv6: textIn(ipam, "IPv6Address"),
  };
}

interface RefusedField {
  readonly of: "HostConfig" | "Config";
  readonly key: string;
  readonly what: string;
}

const refusedIn = (of: RefusedField["of"], fields: Readonly<Record<string, string>>) =>
  Object.entries(fields).map(([key, what]): RefusedField => ({ of, key, what }));

const CONFIG_FIELDS = refusedIn("Config", {
  Volumes: "a volume",
  MacAddress: "choosing a MAC address",
  Healthcheck: "a health check",
  Domainname: "a domain name",
  ExposedPorts: "exposing a port",
  NetworkDisabled: "networking that is turned off",
});

const HOST_FIELDS = refusedIn("HostConfig", {
  Binds: "mounting into a process",
  Mounts: "mounting into a process",
  Tmpfs: "mounting into a process",
  VolumesFrom: "a volume",
  PortBindings: "publishing a port",
  PublishAllPorts: "publishing a port",
  Links: "a link between containers",
  Privileged: "privileged mode",
  CapAdd: "changing capabilities",
  CapDrop: "changing capabilities",
  SecurityOpt: "a security option",
  Devices: "giving devices",
  DeviceRequests: "giving devices",
  ReadonlyRootfs: "a read-only root",
  Memory: "a memory limit",
  MemoryReservation: "a memory limit",
  NanoCpus: "a CPU limit",
  CpuShares: "a CPU limit",
  CpuPeriod: "a CPU limit",
  CpuQuota: "a CPU limit",
  CpusetCpus: "a CPU limit",
  PidsLimit: "a limit on processes",
  Ulimits: "a resource limit",
  Sysctls: "setting kernel parameters",
  PidMode: "a PID mode",
  UsernsMode: "a user namespace mode",
  UTSMode: "a UTS mode",
  Dns: "choosing DNS servers",
  DnsOptions: "choosing DNS options",
  DnsSearch: "choosing DNS search domains",
  ExtraHosts: "extra host names",
  GroupAdd: "additional groups",
  Init: "an init process",
  Annotations: "annotations",
  BlkioWeight: "an I/O limit",
  BlkioWeightDevice: "an I/O limit",
  BlkioDeviceReadBps: "an I/O limit",
  BlkioDeviceWriteBps: "an I/O limit",
  BlkioDeviceReadIOps: "an I/O limit",
  BlkioDeviceWriteIOps: "an I/O limit",
  Cgroup: "a cgroup",
  CgroupParent: "a cgroup",
  CgroupnsMode: "a cgroup namespace mode",
  CpuRealtimePeriod: "a CPU limit",
  CpuRealtimeRuntime: "a CPU limit",
  CpusetMems: "a memory limit",
  DeviceCgroupRules: "giving devices",
  IpcMode: "an IPC mode",
  KernelMemory: "a memory limit",
  MemorySwap: "a memory limit",
  MemorySwappiness: "a memory limit",
  OomKillDisable: "sparing a process when memory is short",
  OomScoreAdj: "sparing a process when memory is short",
  ShmSize: "a size for /dev/shm",
  StorageOpt: "a storage option",
  VolumeDriver: "a volume",
});

/** Whether it says anything: not absent, null, empty, false, or zero; -1 is "no limit". */
function isAsked(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === false || value === "") return false;
  if (typeof value === "number") return value !== 0 && value !== -1;
  return typeof value !== "object" || Object.keys(value).length > 0;
}
