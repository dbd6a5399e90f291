// Is what a person asked to run something that can be run? Looks at the request alone.
import { type Refusal, refuse } from "../../common/fault.js";
import type { ContainerSpec, EndpointWish, ExecSpec } from "../seams.js";
import { parseSignal, SIGTERM } from "./signals.js";
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

export function checkSpec(spec: ContainerSpec): Refusal | undefined {
  if (spec.name !== "" && !isContainerName(spec.name)) return badName(spec.name);
  if (spec.entrypoint.length + spec.command.length === 0) {
    return refuse("invalid-argument", "no command specified");
  }
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
  return checkHostname(spec.hostname) ?? checkTwice(spec.endpoints) ?? checkProcess(spec);
}

export function checkExec(spec: ExecSpec): Refusal | undefined {
  if (spec.command.length === 0) return refuse("invalid-argument", "No exec command specified");
  return checkProcess({ ...spec, entrypoint: [] });
}

export function isContainerName(name: string): boolean {
  return name.length <= NAME_MAX && NAME.test(name);
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
