// A container → Docker's ContainerInspectResponse and ContainerSummary (engine-api.yaml).
import type { Container, EndpointWish } from "../seams.js";
import { type ContainerSize, sizeJson } from "./container-sizes.js";
import { hostConfigJson, mountPointJson, networkModeOf } from "./host-config-json.js";
import { builtinEndpointId } from "./network-json.js";
import { portListJson, portMapJson } from "./port-json.js";
import { goTime, humanDuration } from "./times.js";

const NS_PER_MS = 1_000_000;
// What holds unless it is said otherwise; then it is not shown.
const STOP_TIMEOUT_DEFAULT_SECONDS = 10;

export function containerJson(
  container: Container,
  files: ContainerFiles,
  size?: ContainerSize,
): object {
  const { spec, id } = container;
  const [path = "", ...args] = [...spec.entrypoint, ...spec.command];
  const isImage = spec.runtime === "containerd";
  const driver = isImage ? "overlayfs" : "none";
  return {
    Id: id,
    Created: goTime(container.createdAtMs),
    Path: path,
    Args: args,
    State: stateJson(container),
    Image: container.imageId,
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: spec.log.driver === "none" ? "" : files.logPath(id),
    Name: `/${spec.name}`,
    RestartCount: container.restartCount,
    Driver: driver,
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: hostConfigJson(container),
    ...(size === undefined ? {} : { SizeRw: size.writtenBytes, SizeRootFs: size.allBytes }),
    GraphDriver: { Data: null, Name: driver },
    Mounts: container.mountPoints.map(mountPointJson),
    Config: configJson(container),
    NetworkSettings: networkSettingsJson(container),
  };
}

export interface ContainerFiles {
  readonly logPath: (id: string) => string;
}

function networkSettingsJson(container: Container): object {
  const bridge = container.endpoints.find(({ network }) => network.spec?.name === "bridge");
  const first = bridge === undefined ? undefined : addressesJson(bridge);
  return {
    Bridge: "",
    SandboxID: container.id,
    SandboxKey: container.sandboxPath,
    Ports: portMapJson(container),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.endpoint.id ?? "",
    Gateway: first?.Gateway ?? "",
    GlobalIPv6Address: first?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: first?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: first?.IPAddress ?? "",
    IPPrefixLen: first?.IPPrefixLen ?? 0,
    IPv6Gateway: first?.IPv6Gateway ?? "",
    MacAddress: bridge?.endpoint.mac ?? "",
    Networks: networksJson(container),
  };
}

function stateJson(container: Container): object {
  const { state, health } = container;
  const running = state === "running" || state === "paused";
  return {
    Status: state,
    Running: running || state === "restarting",
    Paused: state === "paused",
    Restarting: state === "restarting",
    OOMKilled: container.oomKilled,
    Dead: state === "dead",
    Pid: running ? container.pid : 0,
    ExitCode: container.exitCode,
    Error: container.error,
    StartedAt: goTime(container.startedAtMs),
    FinishedAt: goTime(running ? 0 : container.finishedAtMs),
    ...(health === undefined ? {} : { Health: healthJson(health) }),
  };
}

function healthJson(health: NonNullable<Container["health"]>): object {
  return {
    Status: health.status,
    FailingStreak: health.failingStreak,
    Log: health.log.map((run) => ({
      Start: goTime(run.startMs),
      End: goTime(run.endMs),
      ExitCode: run.exitCode,
      Output: run.output,
    })),
  };
}

function configJson({ id, spec }: Container): object {
  const nameless = spec.mounts.filter(({ kind, source }) => kind === "volume" && source === "");
  const map = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, {}]));
  return {
    Hostname: spec.hostname || id.slice(0, 12),
    Domainname: spec.domainname,
    User: spec.user,
    AttachStdin: spec.attached?.includes("stdin") ?? false,
    AttachStdout: spec.attached?.includes("stdout") ?? false,
    AttachStderr: spec.attached?.includes("stderr") ?? false,
    ...(spec.exposed.length > 0 ? { ExposedPorts: map(spec.exposed) } : {}),
    Tty: spec.tty,
    OpenStdin: spec.openStdin,
    StdinOnce: spec.stdinOnce,
    Env: spec.env,
    Cmd: spec.command.length > 0 ? spec.command : null,
    ...healthCheckJson(spec),
    Image: spec.image,
    Volumes: nameless.length > 0 ? map(nameless.map(({ target }) => target)) : null,
    WorkingDir: spec.workingDir,
    Entrypoint: spec.entrypoint.length > 0 ? spec.entrypoint : null,
    OnBuild: null,
    Labels: spec.labels,
    ...(spec.stopSignal === "" ? {} : { StopSignal: spec.stopSignal }),
    ...(spec.stopTimeoutSeconds === STOP_TIMEOUT_DEFAULT_SECONDS
      ? {}
      : { StopTimeout: spec.stopTimeoutSeconds }),
  };
}

function healthCheckJson({ healthCheck }: Container["spec"]): object {
  if (healthCheck === undefined) return {};
  if (healthCheck === null) return { Healthcheck: { Test: ["NONE"] } };
  const times = {
    Interval: healthCheck.intervalMs,
    Timeout: healthCheck.timeoutMs,
    StartPeriod: healthCheck.startPeriodMs,
    StartInterval: healthCheck.startIntervalMs,
  };
  const said = Object.entries(times).filter(([, ms]) => ms > 0);
  return {
    Healthcheck: {
      Test: healthCheck.test,
      ...Object.fromEntries(said.map(([name, ms]) => [name, Math.round(ms * NS_PER_MS)])),
      ...(healthCheck.retries > 0 ? { Retries: healthCheck.retries } : {}),
    },
  };
}

function networksJson(container: Container): object {
  const { spec } = container;
  if (spec.networkMode === "container") return {};
  if (spec.networkMode !== "networks") {
    return { [spec.networkMode]: endpointJson(container, undefined, spec.networkMode) };
  }
  // Before it was started for the first time it has wishes and no endpoints.
  const rows =
    container.endpoints.length > 0
      ? container.endpoints.map(
          (each) => [each.network.spec?.name ?? each.network.id, each] as const,
        )
      : spec.endpoints.map(({ network }) => [network, undefined] as const);
  return Object.fromEntries(
    rows.map(([name, given]) => [name, endpointJson(container, given, name)]),
  );
}

function endpointJson(
  container: Container,
  given: Container["endpoints"][number] | undefined,
  name: string,
): object {
  const wish = container.spec.endpoints.find(
    ({ network }) => network === name || network === given?.network.id,
  );
  const builtin = container.spec.networkMode !== "networks" && container.state === "running";
  return {
    IPAMConfig: ipamOf(wish, name),
    Links: null,
    Aliases: wish && wish.aliases.length > 0 ? wish.aliases : null,
    MacAddress: given?.endpoint.mac ?? "",
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: given?.network.id ?? "",
    EndpointID: given?.endpoint.id ?? (builtin ? builtinEndpointId(container.id, name) : ""),
    ...addressesJson(given),
    DNSNames: given
      ? [...new Set([container.spec.name, ...given.endpoint.aliases, container.id.slice(0, 12)])]
      : null,
  };
}

/** The machine's side of one of this node's own networks is the way out; the swarm's have none. */
function addressesJson(given: Container["endpoints"][number] | undefined) {
  const [ipv4 = "", length4 = "0"] = (given?.endpoint.ipv4 ?? "").split("/");
  const [ipv6 = "", length6 = "0"] = (given?.endpoint.ipv6 ?? "").split("/");
  const spec = given?.network.spec;
  const leadsOut = spec?.driver === "bridge" && !spec.internal;
  const gateways = leadsOut ? (given?.network.subnets ?? []).map(({ gateway }) => gateway) : [];
  const gateway = (isSix: boolean) => gateways.find((each) => each.includes(":") === isSix) ?? "";
  return {
    Gateway: gateway(false),
    IPAddress: ipv4,
    IPPrefixLen: Number(length4),
    IPv6Gateway: gateway(true),
    GlobalIPv6Address: ipv6,
    GlobalIPv6PrefixLen: Number(length6),
  };
}

function ipamOf(wish: EndpointWish | undefined, name: string): object | null {
  if (name === "bridge") return null;
  if (wish === undefined) return {};
  const { ipv4, ipv6 } = wish;
  return {
    ...(ipv4 ? { IPv4Address: ipv4 } : {}),
    ...(ipv6 ? { IPv6Address: ipv6 } : {}),
  };
}

export function containerSummaryJson(
  container: Container,
  nowMs: number,
  size?: ContainerSize,
): object {
  const { spec } = container;
  return {
    Id: container.id,
    Names: [`/${spec.name}`],
    Image: spec.image,
    ImageID: container.imageId,
    Command: [...spec.entrypoint, ...spec.command].map(shellWord).join(" "),
    Created: Math.trunc(container.createdAtMs / 1_000),
    Ports: portListJson(container),
    ...sizeJson(size),
    Labels: spec.labels,
    State: container.state,
    Status: statusText(container, nowMs),
    HostConfig: { NetworkMode: networkModeOf(spec) },
    NetworkSettings: { Networks: networksJson(container) },
    Mounts: container.mountPoints.map(mountPointJson),
  };
}

/** "Up 3 seconds", "Exited (137) 2 minutes ago": dockerd's State.String. */
function statusText(container: Container, nowMs: number): string {
  switch (container.state) {
    case "running": {
      const { health } = container;
      const word = health?.status === "starting" ? "health: starting" : health?.status;
      const suffix = word === undefined ? "" : ` (${word})`;
      return `Up ${humanDuration(nowMs - container.startedAtMs)}${suffix}`;
    }
    case "exited":
      return `Exited (${container.exitCode}) ${humanDuration(nowMs - container.finishedAtMs)} ago`;
    case "created":
      return "Created";
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "paused":
      return `Up ${humanDuration(nowMs - container.startedAtMs)} (Paused)`;
    case "restarting":
      return `Restarting (${container.exitCode}) ${humanDuration(nowMs - container.finishedAtMs)} ago`;
  }
}

// dockerd quotes arguments with spaces for `docker ps`.
function shellWord(word: string): string {
  return word === "" || /\s/.test(word) ? `'${word}'` : word;
}
