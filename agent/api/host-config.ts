// HostConfig → limits, security, restart rule, log and ports of a ContainerSpec. What is asked for and
// cannot be had is refused by name.
import { isIP } from "node:net";
import { capabilityName, capabilityProblem } from "../../common/capabilities.js";
import type { ContainerSpec, PortBinding, RestartRule } from "../seams.js";
import type { Limits, LogRule, Security, Ulimit } from "../task/container-spec.js";
import { EMPTY_SPEC } from "../task/container-spec.js";
import { parseExposed } from "../task/ports.js";
import { badRequest, unserved } from "./http-error.js";
import {
  flagIn,
  type Json,
  type JsonObject,
  listIn,
  numberIn,
  objectIn,
  objectOf,
  textIn,
  textMapIn,
  textsIn,
} from "./json.js";

export function limitsIn(host: JsonObject): Limits {
  const number = (key: string) => numberIn(host, key) ?? 0;
  const swappiness = numberIn(host, "MemorySwappiness") ?? -1;
  return {
    memoryBytes: number("Memory"),
    memoryReservationBytes: number("MemoryReservation"),
    memorySwapBytes: number("MemorySwap"),
    memorySwappiness: swappiness === -1 ? undefined : swappiness,
    nanoCpus: number("NanoCpus"),
    cpuShares: number("CpuShares"),
    cpuPeriodUs: number("CpuPeriod"),
    cpuQuotaUs: number("CpuQuota"),
    cpusetCpus: textIn(host, "CpusetCpus"),
    cpusetMems: textIn(host, "CpusetMems"),
    pids: Math.max(0, number("PidsLimit")),
    blkioWeight: number("BlkioWeight"),
    oomKillDisable: flagIn(host, "OomKillDisable"),
  };
}

export function ulimitsIn(host: JsonObject): readonly Ulimit[] {
  return listIn(host, "Ulimits").map((each) => {
    const json = objectOf(each, "Ulimits");
    const name = textIn(json, "Name");
    if (!ULIMITS.has(name)) throw badRequest(`invalid ulimit type: ${name}`);
    const soft = numberIn(json, "Soft") ?? 0;
    return { name, soft, hard: numberIn(json, "Hard") ?? soft };
  });
}

// getrlimit(2).
const ULIMITS = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack as".split(
    " ",
  ),
);

export function securityIn(host: JsonObject): Security {
  const capabilities = (key: "CapAdd" | "CapDrop") => {
    const written = textsIn(host, key);
    const problem = capabilityProblem(key, written);
    if (problem !== undefined) throw badRequest(problem);
    return written.map(capabilityName);
  };
  return textsIn(host, "SecurityOpt").reduce(withSecurityOption, {
    ...EMPTY_SPEC.security,
    capAdd: capabilities("CapAdd"),
    capDrop: capabilities("CapDrop"),
    readOnlyRoot: flagIn(host, "ReadonlyRootfs"),
    groupAdd: textsIn(host, "GroupAdd"),
  });
}

// Choice: no profile of a person is longer; Docker's default is 12 KiB.
const PROFILE_LENGTH_MAX = 1024 * 1024;

function withSecurityOption(security: Security, option: string): Security {
  const [, key = option, value = "true"] = /^([a-z-]+)[=:](.*)$/s.exec(option) ?? [];
  switch (key) {
    case "no-new-privileges":
      if (value !== "true" && value !== "false") {
        throw badRequest(`invalid --security-opt 2: "${option}"`);
      }
      return { ...security, noNewPrivileges: value === "true" };
    case "seccomp":
      return { ...security, seccomp: seccompOf(value) };
    // What there is none of is not confined.
    case "apparmor":
    case "label":
      if (value === "unconfined" || value === "disable") return security;
      throw unserved(`the security option "${option}" (AppArmor and SELinux) is`);
    default:
      throw unserved(`the security option "${option.slice(0, 80)}" is`);
  }
}

function seccompOf(value: string): Security["seccomp"] {
  if (value === "unconfined") return "unconfined";
  if (value === "builtin") return "default";
  if (value.length > PROFILE_LENGTH_MAX) throw badRequest("the seccomp profile is too long");
  try {
    const profile: unknown = JSON.parse(value);
    if (typeof profile === "object" && profile !== null) return { profile: value };
  } catch {
    // Said below.
  }
  throw badRequest("Decoding seccomp profile failed: it is not a JSON object");
}

export function restartIn(host: JsonObject): RestartRule {
  const policy = objectIn(host, "RestartPolicy");
  const name = textIn(policy, "Name") || "no";
  const maximumRetries = numberIn(policy, "MaximumRetryCount") ?? 0;
  if (name === "no" || name === "always" || name === "on-failure" || name === "unless-stopped") {
    return { name, maximumRetries };
  }
  throw badRequest(`invalid restart policy '${name}'`);
}

// Docker's: what it knows and we do not is 501, not a mistake.
const LOG_DRIVERS =
  "none json-file local syslog journald gelf fluentd awslogs splunk etwlogs gcplogs logentries".split(
    " ",
  );
const LOG_OPTIONS = [
  "compress",
  "env",
  "env-regex",
  "labels",
  "labels-regex",
  "max-buffer-size",
  "mode",
  "tag",
];

export function logIn(host: JsonObject): LogRule {
  const log = objectIn(host, "LogConfig");
  const type = textIn(log, "Type") || "json-file";
  const options = textMapIn(log, "Config");
  if (!LOG_DRIVERS.includes(type)) {
    throw badRequest(`logger: no log driver named '${type}' is registered`);
  }
  if (type !== "json-file" && type !== "none") throw unserved(`log driver "${type}" is`);
  let rule: LogRule = { ...EMPTY_SPEC.log, driver: type };
  for (const [key, value] of Object.entries(options)) {
    if (type === "json-file" && key === "max-size") {
      rule = { ...rule, maxBytes: sizeOf(value) };
    } else if (type === "json-file" && key === "max-file") {
      if (!/^[1-9]\d{0,3}$/.test(value)) throw badRequest("max-file cannot be less than 1");
      rule = { ...rule, maxFiles: Number(value) };
    } else if (LOG_OPTIONS.includes(key)) {
      throw unserved(`log option "${key}" (HostConfig.LogConfig) is`);
    } else throw badRequest(`unknown log opt '${key}' for ${type} log driver`);
  }
  if (rule.maxFiles > 1 && rule.maxBytes === 0) {
    throw badRequest("the log option max-file needs max-size too: without it there is one file");
  }
  return rule;
}

/** "10m", as docker/go-units reads it. */
function sizeOf(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,12}(?:\.\d{1,6})?) ?([kKmMgG]?)i?[bB]?$/.exec(text) ?? [];
  const bytes = Math.floor(
    Number(digits) * 1024 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase()),
  );
  if (text === "-1") return 0;
  if (!(bytes > 0)) throw badRequest(`invalid size: '${text}'`);
  return bytes;
}

export function exposedIn(config: JsonObject): readonly string[] {
  return Object.keys(objectIn(config, "ExposedPorts")).map((written) => {
    const port = parseExposed(written);
    if (port === undefined) throw badRequest(`invalid port specification: "${written}"`);
    return `${port.containerPort}/${port.protocol}`;
  });
}

export function portsIn(host: JsonObject): readonly PortBinding[] {
  return Object.entries(objectIn(host, "PortBindings")).flatMap(([written, bindings]) => {
    const port = parseExposed(written);
    if (port === undefined) throw badRequest(`invalid port specification: "${written}"`);
    const list = bindings === null ? [] : listIn({ [written]: bindings }, written);
    // A port that is named and bound to nothing gets one that is free.
    const each = list.length > 0 ? list : [{}];
    return each.map((binding) => ({ ...port, ...boundTo(objectOf(binding as Json, written)) }));
  });
}

function boundTo(json: JsonObject): Pick<PortBinding, "hostIp" | "hostPort" | "hostPortLast"> {
  const hostIp = textIn(json, "HostIp");
  const written = textIn(json, "HostPort");
  if (hostIp !== "" && isIP(hostIp) === 0) throw badRequest(`invalid IP address: "${hostIp}"`);
  const [, first, last] = /^(\d{0,5})(?:-(\d{1,5}))?$/.exec(written) ?? [];
  const hostPort = Number(first || "0");
  const hostPortLast = last === undefined ? undefined : Number(last);
  const isRange = hostPortLast !== undefined && hostPort > 0 && hostPortLast >= hostPort;
  if (
    first === undefined ||
    Math.max(hostPort, hostPortLast ?? 0) > 0xffff ||
    (last !== undefined && !isRange)
  ) {
    throw badRequest(`invalid port specification: "${written}"`);
  }
  // The two ways of writing "every address" are one.
  const every = hostIp === "0.0.0.0" ? "" : hostIp;
  return { hostIp: every, hostPort, ...(hostPortLast === undefined ? {} : { hostPortLast }) };
}

export function namesIn(
  host: JsonObject,
): Pick<ContainerSpec, "dns" | "dnsSearch" | "dnsOptions" | "extraHosts"> {
  const dns = textsIn(host, "Dns");
  const wrong = dns.find((address) => isIP(address) === 0);
  if (wrong !== undefined) throw badRequest(`invalid DNS server address: ${wrong}`);
  const plain = (key: string) => {
    const texts = textsIn(host, key);
    // They become words of a line.
    const odd = texts.find((text) => !/^[\x21-\x7e]{1,255}$/.test(text));
    if (odd !== undefined) throw badRequest(`invalid ${key}: ${JSON.stringify(odd)}`);
    return texts;
  };
  const extraHosts = textsIn(host, "ExtraHosts").map((entry) => {
    const [, name, address = ""] = /^([a-zA-Z0-9_.-]{1,253}):\[?([^\s\]]+)\]?$/.exec(entry) ?? [];
    if (name === undefined || (address !== "host-gateway" && isIP(address) === 0)) {
      throw badRequest(`bad format for add-host: "${entry}"`);
    }
    return `${name}:${address}`;
  });
  return { dns, dnsSearch: plain("DnsSearch"), dnsOptions: plain("DnsOptions"), extraHosts };
}

export function sysctlsIn(host: JsonObject): Readonly<Record<string, string>> {
  const sysctls = textMapIn(host, "Sysctls");
  const wrong = Object.keys(sysctls).find(
    (key) => !/^[a-z0-9_./-]{1,255}$/i.test(key) || key.includes(".."),
  );
  if (wrong !== undefined) throw badRequest(`invalid sysctl: ${JSON.stringify(wrong)}`);
  return sysctls;
}
