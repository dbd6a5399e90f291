// The OCI runtime spec (opencontainers/runtime-spec) of a container, and of a further process in one.
// Runc does what it says; nothing that is not said here is allowed.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { ContainerSpec, ExecSpec, MountPoint } from "../seams.js";
import { environmentOf } from "../task/environment.js";
import { commandOf } from "../task/spec.js";
import { capabilitiesOf } from "./capabilities.js";
import { type LaidFile, mountsOf, rootPropagation } from "./mounts.js";
import { type CgroupSupport, resourcesOf } from "./resources.js";
import { customSeccomp, defaultSeccomp, type Machine, type Seccomp } from "./seccomp.js";
import { sysctlsOf } from "./sysctls.js";
import type { User } from "./users.js";

export interface SpecWish {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly hostname: string;
  readonly user: User;
  /** Of the network namespace; undefined: the machine's. */
  readonly netns: string | undefined;
  /** The machine's own, where it is not the one that containerd runs in; undefined: it is. */
  readonly machineNetns: string | undefined;
  readonly mountPoints: readonly MountPoint[];
  readonly files: readonly LaidFile[];
  readonly cgroupsPath: string;
  readonly support: CgroupSupport;
  readonly machine: Machine;
}

/** Where Docker's `--init` puts its init. */
export const INIT_TARGET = "/sbin/docker-init";

// moby oci/defaults.go.
const MASKED = [
  ...["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats"],
  ...["/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi"],
  ...["/sys/firmware", "/sys/devices/virtual/powercap"],
];
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

export function containerSpecOf(wish: SpecWish): Record<string, unknown> | Refusal {
  const { spec } = wish;
  const process = processOf(wish);
  if (isRefusal(process)) return process;
  const seccomp = seccompOf(spec, wish.machine, process.capabilities.bounding);
  if (isRefusal(seccomp)) return seccomp;
  const sysctl = sysctlsOf(spec.sysctls, wish.netns !== undefined);
  if (isRefusal(sysctl)) return sysctl;
  const rootfsPropagation = rootPropagation(wish.mountPoints);
  return {
    ociVersion: "1.0.2",
    process,
    root: { path: "rootfs", readonly: spec.security.readOnlyRoot },
    hostname: wish.hostname,
    mounts: mountsOf({ ...wish, shmBytes: spec.shmBytes }),
    linux: {
      resources: resourcesOf(spec.limits, wish.support),
      cgroupsPath: wish.cgroupsPath,
      namespaces: namespacesOf(wish),
      sysctl: spec.domainname === "" ? sysctl : { ...sysctl, ...domain(spec.domainname) },
      ...(seccomp === undefined ? {} : { seccomp }),
      ...(rootfsPropagation === undefined ? {} : { rootfsPropagation }),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
    },
  };
}

/** Of one more process in it: what holds for the first one holds for it, but for what was asked for. */
export function execProcessOf(
  exec: ExecSpec,
  wish: Pick<SpecWish, "spec" | "hostname" | "user">,
): Record<string, unknown> | Refusal {
  const { spec } = wish;
  const process = processOf({
    ...wish,
    spec: {
      ...spec,
      init: false,
      entrypoint: [],
      command: exec.command,
      env: [...spec.env, ...exec.env],
      workingDir: exec.workingDir || spec.workingDir,
      tty: exec.tty,
      consoleSize: exec.consoleSize,
    },
  });
  return process;
}

function processOf(wish: Pick<SpecWish, "spec" | "hostname" | "user">) {
  const { spec, user, hostname } = wish;
  const { security } = spec;
  const capabilities = capabilitiesOf(security.capAdd, security.capDrop);
  if (isRefusal(capabilities)) return capabilities;
  const rlimits = rlimitsOf(spec);
  if (isRefusal(rlimits)) return rlimits;
  const environment = environmentOf({ ...spec, hostname, home: user.home });
  const command = commandOf(spec);
  const size = spec.consoleSize;
  return {
    terminal: spec.tty,
    ...(spec.tty && size !== undefined && size.rows > 0 && size.columns > 0
      ? { consoleSize: { height: size.rows, width: size.columns } }
      : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    args: spec.init ? [INIT_TARGET, "--", ...command] : command,
    env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    cwd: spec.workingDir === "" ? "/" : spec.workingDir,
    // Not inheritable: CVE-2022-24769.
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    rlimits,
    noNewPrivileges: security.noNewPrivileges,
    oomScoreAdj: spec.oomScoreAdj,
  };
}

function seccompOf(
  spec: ContainerSpec,
  machine: Machine,
  capabilities: readonly string[],
): Seccomp | Refusal | undefined {
  const { seccomp } = spec.security;
  if (seccomp === "unconfined") return undefined;
  if (seccomp === "default") return defaultSeccomp(machine, capabilities);
  return customSeccomp(seccomp.profile, machine, capabilities);
}

// getrlimit(2).
const ULIMITS = new Set([
  ...["as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile"],
  ...["nproc", "rss", "rtprio", "rttime", "sigpending", "stack"],
]);
// RLIM_INFINITY: more than a JavaScript number holds exactly.
const NO_LIMIT = 2n ** 64n - 1n;

function rlimitsOf({ ulimits }: ContainerSpec) {
  const wrong = ulimits.find(({ name }) => !ULIMITS.has(name));
  if (wrong !== undefined) {
    return refuse("invalid-argument", `invalid ulimit type: ${wrong.name}`);
  }
  const value = (limit: number) => (limit < 0 ? NO_LIMIT : BigInt(Math.floor(limit)));
  return ulimits.map(({ name, soft, hard }) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    soft: value(soft),
    hard: value(hard),
  }));
}

function namespacesOf(wish: SpecWish) {
  const own = ["pid", "ipc", "uts", "mount"].map((type) => ({ type }));
  const path = wish.netns ?? wish.machineNetns;
  return [
    ...own,
    ...(path === undefined ? [] : [{ type: "network", path }]),
    // As Docker does: on v1 the whole tree is shown, read-only, on v2 only its own part.
    ...(wish.support.version === 2 ? [{ type: "cgroup" }] : []),
  ];
}

function domain(name: string): Record<string, string> {
  return { "kernel.domainname": name };
}

/** JSON, with numbers that only a bigint holds. No text of a spec can hold a zero byte, so none looks like one. */
export function specJson(spec: Record<string, unknown>): Buffer {
  const mark = "\0number:";
  const text = JSON.stringify(spec, (_key, value: unknown) =>
    typeof value === "bigint" ? `${mark}${value}` : value,
  );
  return Buffer.from(text.replace(/"\\u0000number:(\d+)"/g, "$1"));
}
