// What a container may use, and what it may do: flags → HostConfig.
import { readFileSync } from "node:fs";
import { messageOf } from "../../common/fault.js";
import { parseBytes, parseNanoCpus, parseUlimit } from "../args/quantities.js";
import type { Values } from "../args/values.js";
import { Failure } from "../cli.js";
import { healthCheck, present } from "../service/create.js";

type Fields = Record<string, unknown>;

export function limitFields(flags: Values): Fields {
  const bytes = (name: string) => {
    const text = flags.text(name);
    if (text === "") return undefined;
    const size = parseBytes(text);
    if (size === undefined && !(name === "memory-swap" && text === "-1")) {
      throw new Failure(`invalid argument "${text}" for "--${name}" flag: invalid size: '${text}'`);
    }
    return size ?? -1;
  };
  const number = (name: string) => (flags.has(name) ? flags.number(name) : undefined);
  return present({
    Memory: bytes("memory"),
    MemoryReservation: bytes("memory-reservation"),
    MemorySwap: bytes("memory-swap"),
    MemorySwappiness: number("memory-swappiness"),
    NanoCpus: parseNanoCpus(flags.text("cpus")),
    CpuShares: number("cpu-shares"),
    CpuPeriod: number("cpu-period"),
    CpuQuota: number("cpu-quota"),
    CpusetCpus: flags.text("cpuset-cpus"),
    CpusetMems: flags.text("cpuset-mems"),
    BlkioWeight: number("blkio-weight"),
    PidsLimit: number("pids-limit"),
    ShmSize: bytes("shm-size"),
    OomScoreAdj: number("oom-score-adj"),
    OomKillDisable: flags.bool("oom-kill-disable") || undefined,
    Ulimits: flags.list("ulimit").map(parseUlimit),
    Sysctls: flags.has("sysctl") ? flags.map("sysctl") : undefined,
  });
}

export function securityFields(flags: Values): Fields {
  return present({
    CapAdd: flags.list("cap-add"),
    CapDrop: flags.list("cap-drop"),
    GroupAdd: flags.list("group-add"),
    ReadonlyRootfs: flags.bool("read-only") || undefined,
    SecurityOpt: flags.list("security-opt").map(securityOption),
  });
}

/** A seccomp profile is a file here, and its text on the wire. */
function securityOption(option: string): string {
  const [name, value = ""] = option.split(/[=:](.*)/s);
  if (name !== "seccomp" || ["", "unconfined", "builtin"].includes(value)) return option;
  try {
    return `seccomp=${JSON.stringify(JSON.parse(readFileSync(value, "utf8")))}`;
  } catch (error) {
    throw new Failure(`opening seccomp profile (${value}) failed: ${messageOf(error)}`);
  }
}

/** "no", "always", "unless-stopped", "on-failure", "on-failure:3". */
export function restartRule(text: string): { Name: string; MaximumRetryCount: number } {
  const [name = "", count, ...more] = text.split(":");
  if (more.length > 0) throw new Failure("invalid restart policy format: use policy:count");
  if (count !== undefined && !/^\d+$/.test(count)) {
    throw new Failure("invalid restart policy format: maximum retry count must be an integer");
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

export function healthOf(flags: Values): Fields | undefined {
  const check = healthCheck(flags);
  if (!flags.has("health-start-interval")) return check;
  return { ...check, StartInterval: flags.nanoseconds("health-start-interval") };
}
