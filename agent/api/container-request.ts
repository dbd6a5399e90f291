// POST /containers/create → ContainerSpec. What is asked for and cannot be honoured is refused with a
// sentence that names it: a limit or a mount that silently is not there is worse than none.
import type { ContainerSpec, EndpointWish, HealthCheck } from "../seams.js";
import { EMPTY_SPEC } from "../task/container-spec.js";
import {
  exposedIn,
  limitsIn,
  logIn,
  namesIn,
  portsIn,
  restartIn,
  securityIn,
  sysctlsIn,
  ulimitsIn,
} from "./host-config.js";
import { badRequest, unserved } from "./http-error.js";
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
  textsIn,
  wordsIn,
} from "./json.js";
import { mountsIn } from "./mount-request.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: from v1.44 a container may be created on more than one network.
const SEVERAL_NETWORKS_SINCE: ApiMinor = 44;
const STOP_TIMEOUT_DEFAULT_SECONDS = 10;
const NS_PER_MS = 1_000_000;
// Docker's names for containerd's runc.
const RUNC = ["", "runc", "io.containerd.runc.v2"];

const STREAMS = ["stdin", "stdout", "stderr"] as const;
const ATTACH = { stdin: "AttachStdin", stdout: "AttachStdout", stderr: "AttachStderr" } as const;

export interface ContainerRequest {
  readonly spec: ContainerSpec;
  /** For whoever asked; the CLI prints them. */
  readonly warnings: readonly string[];
  /** Containers whose mounts it gets too: "ref" or "ref:ro". */
  readonly volumesFrom: readonly string[];
}

/** `hasBridge`: whether this node has the network that is meant when none is named. */
export function containerRequest(
  name: string,
  json: JsonObject,
  version: ApiMinor,
  hasBridge: boolean,
): ContainerRequest {
  const host = objectIn(json, "HostConfig");
  const warnings: string[] = [];
  const image = textIn(json, "Image");
  const runtime = runtimeOf(image, textIn(host, "Runtime"), warnings);
  refuseUnserved(json, host);
  const network = networking(json, host, version, hasBridge, warnings);
  const ports = portsIn(host);
  if (network.networkMode === "host" && ports.length > 0) {
    warnings.push("Published ports are discarded when using host network mode");
  }
  const named = ports.map((port) => `${port.containerPort}/${port.protocol}`);
  const spec: ContainerSpec = {
    ...EMPTY_SPEC,
    name: name.replace(/^\//, ""),
    image: image || "process",
    runtime,
    entrypoint: wordsIn(json, "Entrypoint"),
    command: wordsIn(json, "Cmd"),
    env: textsIn(json, "Env"),
    workingDir: textIn(json, "WorkingDir"),
    user: textIn(json, "User"),
    hostname: textIn(json, "Hostname"),
    domainname: textIn(json, "Domainname"),
    tty: flagIn(json, "Tty"),
    consoleSize: consoleSizeIn(host),
    openStdin: flagIn(json, "OpenStdin"),
    attached: STREAMS.filter((each) => flagIn(json, ATTACH[each])),
    stdinOnce: flagIn(json, "StdinOnce"),
    labels: labelsIn(json),
    autoRemove: flagIn(host, "AutoRemove"),
    stopSignal: textIn(json, "StopSignal"),
    stopTimeoutSeconds: numberIn(json, "StopTimeout") ?? STOP_TIMEOUT_DEFAULT_SECONDS,
    ...network,
    ports,
    exposed: [...new Set([...exposedIn(json), ...named])],
    publishAll: flagIn(host, "PublishAllPorts"),
    mounts: mountsIn(json, host),
    limits: limitsIn(host),
    ulimits: ulimitsIn(host),
    security: securityIn(host),
    sysctls: sysctlsIn(host),
    shmBytes: numberIn(host, "ShmSize") || EMPTY_SPEC.shmBytes,
    oomScoreAdj: numberIn(host, "OomScoreAdj") ?? 0,
    init: flagIn(host, "Init"),
    healthCheck: healthCheckIn(json),
    restart: restartIn(host),
    log: logIn(host),
    ...namesIn(host),
  };
  return { spec, warnings, volumesFrom: textsIn(host, "VolumesFrom") };
}

function runtimeOf(image: string, runtime: string, warnings: string[]): ContainerSpec["runtime"] {
  if (runtime !== "process" && !RUNC.includes(runtime)) {
    throw badRequest(`Unknown runtime specified ${runtime}`);
  }
  if (runtime !== "process" && image !== "process" && image !== "") return "containerd";
  if (image !== "" && image !== "process") {
    warnings.push(
      `Image "${image}" is not used: the process runtime runs a command of this machine.`,
    );
  }
  if (image === "" && runtime !== "process") throw badRequest("no image was named");
  return "process";
}

/** Times are in nanoseconds; ["NONE"] takes away what the image says. */
function healthCheckIn(json: JsonObject): HealthCheck | null | undefined {
  const { Healthcheck } = json;
  if (Healthcheck === undefined || Healthcheck === null) return undefined;
  const check = objectOf(Healthcheck, "Healthcheck");
  const test = textsIn(check, "Test");
  if (test[0] === "NONE") return null;
  const ms = (key: string) => (numberIn(check, key) ?? 0) / NS_PER_MS;
  const asked = {
    test,
    intervalMs: ms("Interval"),
    timeoutMs: ms("Timeout"),
    retries: numberIn(check, "Retries") ?? 0,
    startPeriodMs: ms("StartPeriod"),
    startIntervalMs: ms("StartInterval"),
  };
  return isAsked({ ...asked, test: [...test] }) ? asked : undefined;
}

interface Networking {
  readonly networkMode: ContainerSpec["networkMode"];
  /** By name or id. */
  readonly networkContainer?: string;
  readonly endpoints: readonly EndpointWish[];
}

function networking(
  json: JsonObject,
  host: JsonObject,
  version: ApiMinor,
  hasBridge: boolean,
  warnings: string[],
): Networking {
  const mode = textIn(host, "NetworkMode") || "default";
  const configs = Object.entries(objectIn(objectIn(json, "NetworkingConfig"), "EndpointsConfig"));
  if (configs.length > 1 && version < SEVERAL_NETWORKS_SINCE) {
    const names = configs.map(([network]) => network).sort();
    throw badRequest(`Container cannot be connected to network endpoints: ${names.join(", ")}`);
  }
  const shared = /^container:(.*)$/s.exec(mode)?.[1];
  if (shared !== undefined) {
    refuseBesideShared(json, host);
    if (shared === "") throw badRequest("invalid container format container:<name|id>");
    return { networkMode: "container", networkContainer: shared, endpoints: [] };
  }
  const wishes = configs
    .filter(([network]) => !["none", "host"].includes(network))
    .map(([network, config]) =>
      endpointWish(network === "default" ? "bridge" : network, objectOf(config, network)),
    );
  if (mode === "host" || mode === "none") {
    return { networkMode: mode, endpoints: wishes.filter(({ network }) => network !== "bridge") };
  }
  const first = mode === "default" ? "bridge" : mode;
  if (
    !wishes.some(({ network }) => network === first) &&
    (mode !== "default" || wishes.length === 0)
  ) {
    wishes.unshift({ network: first, aliases: [], ipv4: "", ipv6: "" });
  }
  const [only] = wishes;
  if (!hasBridge && mode === "default" && wishes.length === 1 && only?.network === "bridge") {
    warnings.push(
      "There is no default bridge network on this node: the container has a loopback interface only. Use --network.",
    );
    return { networkMode: "none", endpoints: [] };
  }
  return { networkMode: "networks", endpoints: wishes };
}

/** What belongs to whose network it is (runconfig's errors, in dockerd's order). */
function refuseBesideShared(json: JsonObject, host: JsonObject): void {
  const isNamed = (key: string, of: JsonObject) => Object.keys(objectIn(of, key)).length > 0;
  const conflicts: readonly (readonly [string, boolean])[] = [
    ["hostname and the network mode", textIn(json, "Hostname") !== ""],
    [
      "container type network can't be used with links. This would result in undefined behavior",
      isAsked(host["Links"]),
    ],
    ["dns and the network mode", isAsked(host["Dns"])],
    ["custom host-to-IP mapping and the network mode", isAsked(host["ExtraHosts"])],
    ["mac-address and the network mode", isAsked(json["MacAddress"])],
    [
      "port publishing and the container type network mode",
      isNamed("PortBindings", host) || flagIn(host, "PublishAllPorts"),
    ],
    ["port exposing and the container type network mode", isNamed("ExposedPorts", json)],
  ];
  const found = conflicts.find(([, asked]) => asked);
  if (found !== undefined) throw badRequest(`conflicting options: ${found[0]}`);
}

/** Docker's EndpointSettings as a person may ask for them. */
export function endpointWish(network: string, config: JsonObject): EndpointWish {
  const ipam = objectIn(config, "IPAMConfig");
  if (isAsked(config["MacAddress"] ?? null)) throw unserved("choosing a MAC address is");
  if (isAsked(config["Links"] ?? null)) throw unserved("links between containers are");
  if (isAsked(config["DriverOpts"])) throw unserved("driver options of an endpoint are");
  if (isAsked(config["GwPriority"]))
    throw unserved("choosing the default gateway (gw-priority) is");
  if (isAsked(ipam["LinkLocalIPs"])) throw unserved("choosing link-local addresses is");
  const wish = {
    network,
    aliases: textsIn(config, "Aliases"),
    ipv4: textIn(ipam, "IPv4Address"),
    ipv6: textIn(ipam, "IPv6Address"),
  };
  // dockerd (daemon/container_operations.go): the default bridge keeps no names and chooses addresses itself.
  if (network === "bridge" && (wish.ipv4 !== "" || wish.ipv6 !== "")) {
    throw badRequest("user specified IP address is supported on user defined networks only");
  }
  if (network === "bridge" && wish.aliases.length > 0) {
    throw badRequest("network-scoped aliases are only supported for user-defined networks");
  }
  return wish;
}

function refuseUnserved(json: JsonObject, host: JsonObject): void {
  for (const { of, key, what, plain } of UNSERVED_FIELDS) {
    const value = (of === "HostConfig" ? host : json)[key];
    if (!isAsked(value) || plain.includes(String(value))) continue;
    throw unserved(`${what} (${of}.${key}) is`);
  }
  // An empty list means "hide nothing", which is more than saying nothing.
  for (const key of ["MaskedPaths", "ReadonlyPaths"]) {
    if (Array.isArray(host[key])) throw unserved(`choosing what of /proc is hidden (${key}) is`);
  }
}

interface UnservedField {
  readonly of: "HostConfig" | "Config";
  readonly key: string;
  readonly what: string;
  /** Values that ask for what is so anyhow. */
  readonly plain: readonly string[];
}

const unservedIn = (of: UnservedField["of"], fields: Readonly<Record<string, string>>) =>
  Object.entries(fields).map(([key, words]): UnservedField => {
    const [what = "", ...plain] = words.split("|");
    return { of, key, what, plain };
  });

const UNSERVED_FIELDS = [
  ...unservedIn("Config", {
    MacAddress: "choosing a MAC address",
    NetworkDisabled: "networking that is turned off",
    OnBuild: "a build trigger",
    Shell: "choosing a shell",
  }),
  ...unservedIn("HostConfig", {
    Links: "a link between containers",
    Privileged: "privileged mode",
    Devices: "giving devices",
    DeviceRequests: "giving devices",
    DeviceCgroupRules: "giving devices",
    PidMode: "a PID mode|private",
    IpcMode: "an IPC mode|private|shareable",
    UTSMode: "a UTS mode",
    UsernsMode: "a user namespace mode|host",
    CgroupnsMode: "a cgroup namespace mode|private",
    Cgroup: "a cgroup",
    CgroupParent: "a cgroup",
    Annotations: "an annotation",
    BlkioWeightDevice: "an I/O limit of one device",
    BlkioDeviceReadBps: "an I/O limit of one device",
    BlkioDeviceWriteBps: "an I/O limit of one device",
    BlkioDeviceReadIOps: "an I/O limit of one device",
    BlkioDeviceWriteIOps: "an I/O limit of one device",
    CpuRealtimePeriod: "a real-time CPU limit",
    CpuRealtimeRuntime: "a real-time CPU limit",
    KernelMemory: "a limit of kernel memory",
    KernelMemoryTCP: "a limit of kernel memory",
    StorageOpt: "a storage option",
    CpuCount: "a CPU count (Windows)",
    CpuPercent: "a CPU percentage (Windows)",
    IOMaximumIOps: "an I/O limit (Windows)",
    IOMaximumBandwidth: "an I/O limit (Windows)",
    Isolation: "an isolation technology (Windows)|default",
  }),
];

/** Whether it says anything: not absent, null, empty, false, or zero; -1 is "no limit". */
function isAsked(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === false || value === "") return false;
  if (typeof value === "number") return value !== 0 && value !== -1;
  if (typeof value !== "object") return true;
  const inside = Object.values(value);
  return Array.isArray(value) ? inside.length > 0 : inside.some((each) => isAsked(each as Json));
}
