// Is what a person asked to run something that can be run? Looks at the request alone.
import { type Refusal, refuse } from "../../common/fault.js";
import type { ContainerSpec, EndpointWish, ExecSpec, Mount } from "../seams.js";
import type { RestartRule } from "./container-spec.js";
import { checkForProcess, checkLimits } from "./limits.js";
import { parseSignal, SIGTERM } from "./signals.js";
import { badVolumeName, VOLUME_NAME } from "./volume-name.js";
import { badName, shortId } from "./words.js";

// Docker's RestrictedNamePattern (daemon/names).
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
// RFC 1123 section 2.1: labels of letters, digits and hyphens; Linux takes 64 bytes (__NEW_UTS_LEN).
const HOSTNAME = /^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$/;
const HOSTNAME_MAX = 63;
// Choices. A name is shown in tables; the rest only keeps a request from filling the disk and the
// kernel's argument area (execve(2): a third of the stack, 2 MiB by default).
const NAME_MAX = 253;
const ENDPOINTS_MAX = 16;
const ARGUMENT_BYTES_MAX = 1024 * 1024;
const MOUNTS_MAX = 128;

/** `cpus`: how many the machine has. What the image fills in is checked by `checkFilled`. */
export function checkSpec(spec: ContainerSpec, cpus: number): Refusal | undefined {
  if (spec.name !== "" && !isContainerName(spec.name)) return badName(spec.name);
  if (spec.networkMode !== "networks" && spec.endpoints.length > 0) {
    return refuse(
      "invalid-argument",
      `conflicting options: a container of network mode "${spec.networkMode}" cannot be on another network`,
    );
  }
  if (spec.endpoints.length > ENDPOINTS_MAX) {
    return refuse("invalid-argument", `a container can be on at most ${ENDPOINTS_MAX} networks`);
  }
  const signal = parseSignal(spec.stopSignal, SIGTERM);
  if (typeof signal !== "number") return signal;
  return (
    checkHostname(spec.hostname) ??
    checkTwice(spec.endpoints) ??
    checkProcess(spec) ??
    checkMounts(spec.mounts) ??
    checkLimits(spec, cpus) ??
    checkHealth(spec.healthCheck) ??
    checkRestart(spec) ??
    (spec.runtime === "process" ? checkForProcess(spec) : undefined)
  );
}

/** With what the image says. */
export function checkFilled(spec: ContainerSpec): Refusal | undefined {
  if (commandOf(spec).length === 0) return refuse("invalid-argument", "no command specified");
  const signal = parseSignal(spec.stopSignal, SIGTERM);
  if (typeof signal !== "number") return signal;
  return checkProcess(spec) ?? checkMounts(spec.mounts);
}

export function checkExec(spec: ExecSpec): Refusal | undefined {
  if (spec.command.length === 0) return refuse("invalid-argument", "No exec command specified");
  return checkProcess({ ...spec, entrypoint: [] });
}

export function isContainerName(name: string): boolean {
  return name.length <= NAME_MAX && NAME.test(name);
}

/** Whether it has a network namespace of its own; not the machine's, not another container's. */
export function hasOwnSandbox({ networkMode }: ContainerSpec): boolean {
  return networkMode === "none" || networkMode === "networks";
}

/** The host name that the container gets. */
export function hostnameOf(id: string, spec: ContainerSpec): string {
  return spec.hostname === "" ? shortId(id) : spec.hostname;
}

export function commandOf(spec: ContainerSpec): readonly string[] {
  return [...spec.entrypoint, ...spec.command];
}

function checkHostname(hostname: string): Refusal | undefined {
  if (hostname === "") return undefined;
  if (hostname.length <= HOSTNAME_MAX && HOSTNAME.test(hostname)) return undefined;
  return refuse("invalid-argument", `invalid hostname format: ${hostname}`);
}

// dockerd's words (volume/mounts/linux_parser.go).
function checkMounts(mounts: readonly Mount[]): Refusal | undefined {
  const targets = new Set<string>();
  for (const mount of mounts) {
    const wrong = (why: string) =>
      refuse("invalid-argument", `invalid mount config for type "${mount.kind}": ${why}`);
    const { source, subpath } = mount;
    const target = mount.target.replace(/(?<=.)\/+$/, "");
    if (target === "") return wrong("field Target must not be empty");
    if ([target, source, subpath].some((text) => text.includes("\0"))) {
      return wrong("paths cannot hold a zero byte");
    }
    if (!target.startsWith("/")) {
      return wrong(`invalid mount path: '${target}' mount path must be absolute`);
    }
    if (target === "/") return wrong("invalid specification: destination can't be '/'");
    if (mount.kind === "bind" && !source.startsWith("/")) {
      return wrong(`invalid mount path: '${source}' mount path must be absolute`);
    }
    if (mount.kind === "volume" && source !== "" && !VOLUME_NAME.test(source)) {
      return refuse("invalid-argument", `create ${source}: ${badVolumeName(source)}`);
    }
    if (subpath.startsWith("/") || subpath.split("/").includes("..")) {
      return wrong("subpath must be a relative path within the volume");
    }
    if (targets.has(target)) return refuse("invalid-argument", `Duplicate mount point: ${target}`);
    targets.add(target);
  }
  if (mounts.length > MOUNTS_MAX) {
    return refuse("invalid-argument", `a container can have at most ${MOUNTS_MAX} mounts`);
  }
  return undefined;
}

// dockerd (daemon/container.go, validateHealthCheck): shorter is no time at all.
function checkHealth(check: ContainerSpec["healthCheck"]): Refusal | undefined {
  if (check === null || check === undefined) return undefined;
  const times = {
    Interval: check.intervalMs,
    Timeout: check.timeoutMs,
    StartPeriod: check.startPeriodMs,
    StartInterval: check.startIntervalMs,
  };
  const short = Object.entries(times).find(([, ms]) => ms !== 0 && ms < 1);
  if (short !== undefined) {
    return refuse("invalid-argument", `${short[0]} in Healthcheck cannot be less than 1ms`);
  }
  if (check.retries < 0) {
    return refuse("invalid-argument", "Retries in Healthcheck cannot be negative");
  }
  const [kind = "NONE"] = check.test;
  if (!["", "NONE", "CMD", "CMD-SHELL"].includes(kind)) {
    return refuse(
      "invalid-argument",
      `unknown type of health check: ${kind}; it is "CMD", "CMD-SHELL" or "NONE"`,
    );
  }
  return undefined;
}

function checkRestart({ restart, autoRemove }: ContainerSpec): Refusal | undefined {
  if (autoRemove && restart.name !== "no") {
    return refuse("invalid-argument", "can't create 'AutoRemove' container with restart policy");
  }
  return checkRestartRule(restart);
}

export function checkRestartRule({ name, maximumRetries }: RestartRule): Refusal | undefined {
  if (maximumRetries !== 0 && name !== "on-failure") {
    return refuse(
      "invalid-argument",
      `maximum retry count cannot be used with restart policy '${name}'`,
    );
  }
  if (maximumRetries < 0) {
    return refuse("invalid-argument", "maximum retry count cannot be negative");
  }
  return undefined;
}

function checkTwice(endpoints: readonly EndpointWish[]): Refusal | undefined {
  const names = endpoints.map(({ network }) => network);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return undefined;
  return refuse("invalid-argument", `network ${twice} is named more than once`);
}

function checkProcess(spec: {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
}): Refusal | undefined {
  const texts = [...spec.entrypoint, ...spec.command, ...spec.env, spec.workingDir];
  if (texts.some((text) => text.includes("\0"))) {
    return refuse("invalid-argument", "arguments and environment cannot hold a zero byte");
  }
  if (texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0) > ARGUMENT_BYTES_MAX) {
    return refuse("invalid-argument", "arguments and environment are longer than 1 MiB");
  }
  const nameless = spec.env.find((text) => text.startsWith("=") || text === "");
  if (nameless !== undefined) {
    return refuse("invalid-argument", `invalid environment variable: ${nameless}`);
  }
  if (spec.workingDir !== "" && !spec.workingDir.startsWith("/")) {
    return refuse(
      "invalid-argument",
      `the working directory '${spec.workingDir}' is invalid, it needs to be an absolute path`,
    );
  }
  return undefined;
}
