// The seccomp part of an OCI spec: Docker's default profile for this machine and these capabilities, or
// a profile of the same format that somebody gave.
import { type Refusal, refuse } from "../../common/fault.js";
import { type Architecture, DEFAULT_PROFILE, type SeccompRow } from "./seccomp-profile.js";

export interface Machine {
  readonly architecture: Architecture;
  /** Version and patch level: 6.1. */
  readonly kernel: readonly [number, number];
}

export interface Seccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly {
      readonly index: number;
      readonly value: number;
      readonly valueTwo?: number;
      readonly op: string;
    }[];
  }[];
}

const EPERM = 1;
const ARCHITECTURES: Readonly<Record<Architecture, readonly string[]>> = {
  amd64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

export function defaultSeccomp(machine: Machine, capabilities: readonly string[]): Seccomp {
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES[machine.architecture],
    syscalls: DEFAULT_PROFILE.filter((row) => holds(row, machine, capabilities)).map((row) => ({
      names: row.names,
      action: row.errno === undefined ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO",
      ...(row.errno === undefined ? {} : { errnoRet: row.errno }),
      ...(row.argument === undefined ? {} : { args: [argumentOf(row.argument)] }),
    })),
  };
}

function argumentOf({ index, op, value }: NonNullable<SeccompRow["argument"]>) {
  // A masked comparison takes the mask first: none of its bits may be set.
  return { index, value, valueTwo: 0, op };
}

function holds({ when }: SeccompRow, machine: Machine, capabilities: readonly string[]): boolean {
  if (when === undefined) return true;
  const { architecture, minKernel, capability, withoutCapability } = when;
  if (architecture !== undefined && architecture !== machine.architecture) return false;
  if (minKernel !== undefined && !atLeast(machine.kernel, minKernel)) return false;
  if (capability !== undefined && !capabilities.includes(capability)) return false;
  return withoutCapability === undefined || !capabilities.includes(withoutCapability);
}

function atLeast(have: readonly [number, number], want: readonly [number, number]): boolean {
  return have[0] > want[0] || (have[0] === want[0] && have[1] >= want[1]);
}

// ---- A profile that somebody gave --------------------------------------------------------------

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const strings = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];

/** Docker's format (its profiles/seccomp): the OCI one with archMap and with conditions at each row. */
export function customSeccomp(
  profile: string,
  machine: Machine,
  capabilities: readonly string[],
): Seccomp | Refusal {
  let value: unknown;
  try {
    value = JSON.parse(profile);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse("invalid-argument", `Decoding seccomp profile failed: ${why}`);
  }
  if (!isObject(value) || typeof value["defaultAction"] !== "string") {
    return refuse("invalid-argument", "Decoding seccomp profile failed: it has no defaultAction");
  }
  const rows = Array.isArray(value["syscalls"]) ? value["syscalls"] : [];
  const syscalls: Seccomp["syscalls"][number][] = [];
  for (const row of rows) {
    if (!isObject(row) || typeof row["action"] !== "string") {
      return refuse("invalid-argument", "Decoding seccomp profile failed: a row has no action");
    }
    if (!rowHolds(row, machine, capabilities)) continue;
    const name = typeof row["name"] === "string" ? [row["name"]] : [];
    const args = Array.isArray(row["args"]) ? row["args"].filter(isObject).map(givenArgument) : [];
    syscalls.push({
      names: [...strings(row["names"]), ...name],
      action: row["action"],
      ...(typeof row["errnoRet"] === "number" ? { errnoRet: row["errnoRet"] } : {}),
      ...(args.length === 0 ? {} : { args }),
    });
  }
  const named = strings(value["architectures"]);
  const errno = value["defaultErrnoRet"];
  return {
    defaultAction: value["defaultAction"],
    ...(typeof errno === "number" ? { defaultErrnoRet: errno } : {}),
    architectures: named.length > 0 ? named : ARCHITECTURES[machine.architecture],
    syscalls,
  };
}

function givenArgument(argument: Readonly<Record<string, unknown>>) {
  const number = (key: string) => (typeof argument[key] === "number" ? argument[key] : 0);
  const op = typeof argument["op"] === "string" ? argument["op"] : "";
  return { index: number("index"), value: number("value"), valueTwo: number("valueTwo"), op };
}

function rowHolds(
  row: Readonly<Record<string, unknown>>,
  machine: Machine,
  capabilities: readonly string[],
): boolean {
  const includes = isObject(row["includes"]) ? row["includes"] : {};
  const excludes = isObject(row["excludes"]) ? row["excludes"] : {};
  const arches = strings(includes["arches"]);
  if (arches.length > 0 && !arches.includes(machine.architecture)) return false;
  if (strings(excludes["arches"]).includes(machine.architecture)) return false;
  if (strings(includes["caps"]).some((name) => !capabilities.includes(name))) return false;
  if (strings(excludes["caps"]).some((name) => capabilities.includes(name))) return false;
  return (
    kernelHolds(includes["minKernel"], machine, true) &&
    kernelHolds(excludes["minKernel"], machine, false)
  );
}

function kernelHolds(wish: unknown, machine: Machine, wanted: boolean): boolean {
  const found = typeof wish === "string" ? /^(\d+)\.(\d+)/.exec(wish) : null;
  if (found === null) return true;
  return atLeast(machine.kernel, [Number(found[1]), Number(found[2])]) === wanted;
}
