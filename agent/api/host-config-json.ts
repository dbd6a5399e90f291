// A ContainerSpec → Docker's HostConfig, and mounts as they are → MountPoint.
import type { Container, ContainerSpec, Mount, MountPoint } from "../seams.js";

export function hostConfigJson({ spec }: Container): object {
  const { limits, security, log } = spec;
  const nullIfEmpty = <T>(list: readonly T[]) => (list.length > 0 ? list : null);
  const isProcess = spec.runtime === "process";
  return {
    Binds: nullIfEmpty(spec.mounts.filter(isBind).map(bindText)),
    ContainerIDFile: "",
    LogConfig: { Type: log.driver, Config: logOptionsJson(spec) },
    NetworkMode: networkModeOf(spec),
    PortBindings: portBindingsJson(spec),
    RestartPolicy: { Name: spec.restart.name, MaximumRetryCount: spec.restart.maximumRetries },
    AutoRemove: spec.autoRemove,
    VolumeDriver: "",
    VolumesFrom: null,
    ConsoleSize: [spec.consoleSize?.rows ?? 0, spec.consoleSize?.columns ?? 0],
    CapAdd: nullIfEmpty(security.capAdd),
    CapDrop: nullIfEmpty(security.capDrop),
    CgroupnsMode: isProcess ? "host" : "private",
    Dns: spec.dns,
    DnsOptions: spec.dnsOptions,
    DnsSearch: spec.dnsSearch,
    ExtraHosts: nullIfEmpty(spec.extraHosts),
    GroupAdd: nullIfEmpty(security.groupAdd),
    IpcMode: isProcess ? "host" : "private",
    Cgroup: "",
    Links: null,
    OomScoreAdj: spec.oomScoreAdj,
    PidMode: isProcess ? "host" : "",
    Privileged: false,
    PublishAllPorts: spec.publishAll,
    ReadonlyRootfs: security.readOnlyRoot,
    SecurityOpt: nullIfEmpty(securityOptions(spec)),
    ...tmpfsJson(spec.mounts),
    UTSMode: "",
    UsernsMode: "",
    ShmSize: spec.shmBytes,
    ...(Object.keys(spec.sysctls).length > 0 ? { Sysctls: spec.sysctls } : {}),
    Runtime: isProcess ? "process" : "runc",
    Isolation: "",
    CpuShares: limits.cpuShares,
    Memory: limits.memoryBytes,
    NanoCpus: limits.nanoCpus,
    CgroupParent: "",
    BlkioWeight: limits.blkioWeight,
    BlkioWeightDevice: [],
    BlkioDeviceReadBps: [],
    BlkioDeviceWriteBps: [],
    BlkioDeviceReadIOps: [],
    BlkioDeviceWriteIOps: [],
    CpuPeriod: limits.cpuPeriodUs,
    CpuQuota: limits.cpuQuotaUs,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: limits.cpusetCpus,
    CpusetMems: limits.cpusetMems,
    Devices: [],
    DeviceCgroupRules: null,
    DeviceRequests: null,
    MemoryReservation: limits.memoryReservationBytes,
    // dockerd: twice the memory when only that was said.
    MemorySwap: limits.memorySwapBytes || 2 * limits.memoryBytes,
    MemorySwappiness: limits.memorySwappiness ?? null,
    OomKillDisable: limits.oomKillDisable,
    PidsLimit: limits.pids > 0 ? limits.pids : null,
    Ulimits: spec.ulimits.map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    ...mountsJson(spec.mounts),
    ...(spec.init ? { Init: true } : {}),
    MaskedPaths: isProcess ? null : MASKED,
    ReadonlyPaths: isProcess ? null : READ_ONLY,
  };
}

// Docker's defaults (oci/defaults.go).
const MASKED = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
];
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

export function networkModeOf(spec: ContainerSpec): string {
  if (spec.networkMode === "networks") return spec.endpoints[0]?.network ?? "none";
  return spec.networkMode === "container"
    ? `container:${spec.networkContainer ?? ""}`
    : spec.networkMode;
}

function logOptionsJson({ log }: ContainerSpec): object {
  return {
    ...(log.maxBytes > 0 ? { "max-size": String(log.maxBytes) } : {}),
    ...(log.maxFiles > 1 ? { "max-file": String(log.maxFiles) } : {}),
  };
}

function portBindingsJson({ ports }: ContainerSpec): object {
  const map: Record<string, object[]> = {};
  for (const { containerPort, protocol, hostIp, hostPort, hostPortLast } of ports) {
    const key = `${containerPort}/${protocol}`;
    const range = hostPortLast === undefined ? String(hostPort) : `${hostPort}-${hostPortLast}`;
    const binding = { HostIp: hostIp, HostPort: hostPort === 0 ? "" : range };
    map[key] = [...(map[key] ?? []), binding];
  }
  return map;
}

function securityOptions({ security }: ContainerSpec): readonly string[] {
  const { seccomp, noNewPrivileges } = security;
  return [
    ...(noNewPrivileges ? ["no-new-privileges"] : []),
    ...(seccomp === "unconfined" ? ["seccomp=unconfined"] : []),
    ...(typeof seccomp === "object" ? [`seccomp=${seccomp.profile}`] : []),
  ];
}

/** What `-v` says; `--mount` says more, or refuses to make a folder. */
function isBind(mount: Mount): boolean {
  if (mount.kind === "bind") return mount.createSource;
  const isPlain = mount.subpath === "" && Object.keys(mount.volumeOptions).length === 0;
  return mount.kind === "volume" && mount.source !== "" && isPlain;
}

function bindText({ source, target, readOnly, propagation, noCopy }: Mount): string {
  const options = [readOnly ? "ro" : "", propagation, noCopy ? "nocopy" : ""];
  const said = options.filter((each) => each !== "").join(",");
  return `${source}:${target}${said === "" ? "" : `:${said}`}`;
}

function tmpfsJson(mounts: readonly Mount[]): object {
  const entries = mounts
    .filter(({ kind }) => kind === "tmpfs")
    .map(({ target, tmpfsBytes, tmpfsMode, tmpfsOptions, readOnly }) => [
      target,
      [
        ...(readOnly ? ["ro"] : []),
        ...(tmpfsBytes > 0 ? [`size=${tmpfsBytes}`] : []),
        ...(tmpfsMode === undefined ? [] : [`mode=${tmpfsMode.toString(8)}`]),
        ...tmpfsOptions,
      ].join(","),
    ]);
  return entries.length > 0 ? { Tmpfs: Object.fromEntries(entries) } : {};
}

function mountsJson(mounts: readonly Mount[]): object {
  const more = mounts.filter(
    (mount) => mount.kind !== "tmpfs" && mount.source !== "" && !isBind(mount),
  );
  if (more.length === 0) return {};
  return {
    Mounts: more.map(({ kind, source, target, readOnly }) => ({
      Type: kind,
      Source: source,
      Target: target,
      ...(readOnly ? { ReadOnly: true } : {}),
    })),
  };
}

export function mountPointJson({ mount, source, name }: MountPoint): object {
  const isVolume = mount.kind === "volume";
  return {
    Type: mount.kind,
    ...(isVolume ? { Name: name } : {}),
    Source: source,
    Destination: mount.target,
    ...(isVolume ? { Driver: "local" } : {}),
    Mode: mount.readOnly ? "ro" : "",
    RW: !mount.readOnly,
    Propagation: mount.kind === "bind" ? mount.propagation || "rprivate" : "",
  };
}
