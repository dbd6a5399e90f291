// A container → Docker's ContainerInspectResponse and ContainerSummary (engine-api.yaml).
import type { Container } from "../seams.js";
import { builtinEndpointId } from "./network-json.js";
import { goTime, humanDuration } from "./times.js";

export function containerJson(container: Container): object {
  const { spec } = container;
  const [path = "", ...args] = [...spec.entrypoint, ...spec.command];
  return {
    Id: container.id,
    Created: goTime(container.createdAtMs),
    Path: path,
    Args: args,
    State: stateJson(container),
    Image: "",
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: "",
    Name: `/${spec.name}`,
    RestartCount: 0,
    Driver: "none",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: hostConfigJson(container),
    GraphDriver: { Data: null, Name: "none" },
    Mounts: [],
    Config: configJson(container),
    NetworkSettings: {
      Bridge: "",
      SandboxID: container.id,
      SandboxKey: container.sandboxPath,
      Ports: {},
      HairpinMode: false,
      LinkLocalIPv6Address: "",
      LinkLocalIPv6PrefixLen: 0,
      SecondaryIPAddresses: null,
      SecondaryIPv6Addresses: null,
      EndpointID: "",
      Gateway: "",
      GlobalIPv6Address: "",
      GlobalIPv6PrefixLen: 0,
      IPAddress: "",
      IPPrefixLen: 0,
      IPv6Gateway: "",
      MacAddress: "",
      Networks: networksJson(container),
    },
  };
}

function stateJson(container: Container): object {
  const running = container.state === "running";
  return {
    Status: container.state,
    Running: running,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: container.state === "dead",
    Pid: running ? container.pid : 0,
    ExitCode: container.exitCode,
    Error: container.error,
    StartedAt: goTime(container.startedAtMs),
    FinishedAt: goTime(running ? 0 : container.finishedAtMs),
  };
}

function hostConfigJson({ spec }: Container): object {
  return {
    Binds: null,
    ContainerIDFile: "",
    LogConfig: { Type: "json-file", Config: {} },
    NetworkMode: networkModeOf(spec),
    PortBindings: {},
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    AutoRemove: spec.autoRemove,
    VolumeDriver: "",
    VolumesFrom: null,
    CapAdd: null,
    CapDrop: null,
    CgroupnsMode: "host",
    Dns: [],
    DnsOptions: [],
    DnsSearch: [],
    ExtraHosts: null,
    GroupAdd: null,
    IpcMode: "host",
    PidMode: "host",
    Privileged: false,
    PublishAllPorts: false,
    ReadonlyRootfs: false,
    Runtime: spec.runtime,
    Memory: 0,
    NanoCpus: 0,
  };
}

function networkModeOf(spec: Container["spec"]): string {
  return spec.networkMode === "networks"
    ? (spec.endpoints[0]?.network ?? "none")
    : spec.networkMode;
}

function configJson({ id, spec }: Container): object {
  return {
    Hostname: spec.hostname || id.slice(0, 12),
    Domainname: "",
    User: spec.user,
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: spec.tty,
    OpenStdin: spec.openStdin,
    StdinOnce: false,
    Env: spec.env,
    Cmd: spec.command,
    Image: spec.image,
    Volumes: null,
    WorkingDir: spec.workingDir,
    Entrypoint: spec.entrypoint.length > 0 ? spec.entrypoint : null,
    OnBuild: null,
    Labels: spec.labels,
    StopSignal: spec.stopSignal,
    StopTimeout: spec.stopTimeoutSeconds,
  };
}

function networksJson(container: Container): object {
  const { spec } = container;
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
  const [ipv4 = "", length4 = "0"] = (given?.endpoint.ipv4 ?? "").split("/");
  const [ipv6 = "", length6 = "0"] = (given?.endpoint.ipv6 ?? "").split("/");
  const builtin = container.spec.networkMode !== "networks" && container.state === "running";
  return {
    IPAMConfig: wish && (wish.ipv4 || wish.ipv6) ? ipamJson(wish.ipv4, wish.ipv6) : {},
    Links: null,
    Aliases: wish && wish.aliases.length > 0 ? wish.aliases : null,
    MacAddress: given?.endpoint.mac ?? "",
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: given?.network.id ?? "",
    EndpointID: given?.endpoint.id ?? (builtin ? builtinEndpointId(container.id, name) : ""),
    Gateway: "",
    IPAddress: ipv4,
    IPPrefixLen: Number(length4),
    IPv6Gateway: "",
    GlobalIPv6Address: ipv6,
    GlobalIPv6PrefixLen: Number(length6),
    DNSNames: given
      ? [...new Set([container.spec.name, ...given.endpoint.aliases, container.id.slice(0, 12)])]
      : null,
  };
}

function ipamJson(ipv4: string, ipv6: string): object {
  return {
    ...(ipv4 ? { IPv4Address: ipv4 } : {}),
    ...(ipv6 ? { IPv6Address: ipv6 } : {}),
  };
}

export function containerSummaryJson(container: Container, nowMs: number): object {
  const { spec } = container;
  return {
    Id: container.id,
    Names: [`/${spec.name}`],
    Image: spec.image,
    ImageID: "",
    Command: [...spec.entrypoint, ...spec.command].map(shellWord).join(" "),
    Created: Math.trunc(container.createdAtMs / 1_000),
    Ports: [],
    Labels: spec.labels,
    State: container.state,
    Status: statusText(container, nowMs),
    HostConfig: { NetworkMode: networkModeOf(spec) },
    NetworkSettings: { Networks: networksJson(container) },
    Mounts: [],
  };
}

/** "Up 3 seconds", "Exited (137) 2 minutes ago": dockerd's State.String. */
export function statusText(container: Container, nowMs: number): string {
  switch (container.state) {
    case "running":
      return `Up ${humanDuration(nowMs - container.startedAtMs)}`;
    case "exited":
      return `Exited (${container.exitCode}) ${humanDuration(nowMs - container.finishedAtMs)} ago`;
    case "created":
      return "Created";
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
  }
}

// dockerd quotes arguments with spaces for `docker ps`.
function shellWord(word: string): string {
  return word === "" || /\s/.test(word) ? `'${word}'` : word;
}
