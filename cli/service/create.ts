// The flags of `service create` → the API's ServiceSpec. What was not given is not said, so that the
// manager's defaults hold and `inspect` shows what a person wrote. After docker/cli service/opts.go.

import { environment } from "../args/environment.js";
import { parseBytes, parseNanoCpus, parseUlimit, shellWords } from "../args/quantities.js";
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import { parseMount } from "./mount.js";
import { findNetworks } from "./networks.js";
import { parsePorts } from "./port.js";
import { findReferences } from "./references.js";
import { mode } from "./service-mode.js";

type Spec = Record<string, unknown>;

/** Only what is there. */
export function present(values: Spec): Spec {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => {
      if (value === undefined || value === "") return false;
      return !Array.isArray(value) || value.length > 0;
    }),
  );
}

export async function serviceSpec(cli: Cli, flags: Values, args: readonly string[]): Promise<Spec> {
  refuseWindows(flags);
  const isProcess = flags.text("runtime") === "process";
  // A command of the node comes from no image: all words are its own.
  const [image = "", ...words] = isProcess ? ["process", ...args] : args;
  const networks = await findNetworks(cli, flags.list("network"));
  const ports = flags.list("publish").flatMap(parsePorts);
  return {
    Name: flags.text("name"),
    Labels: flags.map("label"),
    TaskTemplate: {
      ContainerSpec: await containerSpec(cli, flags, image, words),
      Resources: resources(flags),
      ...(restartPolicy(flags, {}) ?? {}),
      Placement: present({
        Constraints: flags.list("constraint"),
        Preferences: flags.list("placement-pref").map(preference),
        MaxReplicas: flags.number("replicas-max-per-node") || undefined,
      }),
      ...present({ Networks: networks }),
      ...logDriver(flags),
      ForceUpdate: 0,
      ...(isProcess ? { Runtime: "process" } : {}),
    },
    Mode: mode(flags),
    ...present({
      UpdateConfig: updateConfig(flags, "update", undefined),
      RollbackConfig: updateConfig(flags, "rollback", undefined),
    }),
    EndpointSpec: { Mode: flags.text("endpoint-mode"), ...present({ Ports: ports }) },
  };
}

async function containerSpec(
  cli: Cli,
  flags: Values,
  image: string,
  args: readonly string[],
): Promise<Spec> {
  return {
    Image: tagged(image),
    ...present({
      Labels: flags.has("container-label") ? flags.map("container-label") : undefined,
      Command: shellWords(flags.text("entrypoint")) ?? [],
      Args: args,
      Hostname: flags.text("hostname"),
      Env: await environment(cli, flags),
      Dir: flags.text("workdir"),
      User: flags.text("user"),
      Groups: flags.list("group"),
      TTY: flags.bool("tty") || undefined,
      ReadOnly: flags.bool("read-only") || undefined,
      Mounts: flags.list("mount").map(parseMount),
      StopSignal: flags.text("stop-signal"),
      StopGracePeriod: flags.has("stop-grace-period")
        ? flags.nanoseconds("stop-grace-period")
        : undefined,
      Healthcheck: healthCheck(flags),
      Hosts: flags.list("host").map(hostLine),
      Sysctls: flags.has("sysctl") ? flags.map("sysctl") : undefined,
      CapabilityAdd: capabilities(flags.list("cap-add")),
      CapabilityDrop: capabilities(flags.list("cap-drop")),
      Ulimits: flags.list("ulimit").map(parseUlimit),
    }),
    Init: flags.bool("init"),
    DNSConfig: present({
      Nameservers: flags.list("dns"),
      Search: flags.list("dns-search"),
      Options: flags.list("dns-option"),
    }),
    ...present({
      Secrets: await findReferences(cli, "secret", flags.list("secret")),
      Configs: await findReferences(cli, "config", flags.list("config")),
    }),
  };
}

/** "latest" is said, as Docker's client says it. A wrong reference is the manager's to refuse. */
export function tagged(image: string): string {
  if (image.includes("@") || /:[^/]+$/.test(image) || image === "" || image === "process")
    return image;
  return `${image}:latest`;
}

export function refuseWindows(flags: Values): void {
  if (flags.has("credential-spec")) {
    throw new Failure("--credential-spec is for Windows containers; Skein runs on Linux");
  }
  const isolation = flags.text("isolation");
  if (!["", "default"].includes(isolation)) {
    throw new Failure(`--isolation ${isolation} is for Windows containers; Skein runs on Linux`);
  }
}

function resources(flags: Values): Spec {
  return {
    Limits: present({
      NanoCPUs: parseNanoCpus(flags.text("limit-cpu")) || undefined,
      MemoryBytes: parseBytes(flags.text("limit-memory")) || undefined,
      Pids: flags.number("limit-pids") || undefined,
    }),
    Reservations: present({
      NanoCPUs: parseNanoCpus(flags.text("reserve-cpu")) || undefined,
      MemoryBytes: parseBytes(flags.text("reserve-memory")) || undefined,
      GenericResources: flags.list("generic-resource").flatMap(genericResources),
    }),
  };
}

/** "gpu=2" is counted, "gpu=uuid1" that very one. */
export function genericResources(text: string): readonly Spec[] {
  return text.split(",").map((one) => {
    const at = one.indexOf("=");
    const Kind = one.slice(0, at).trim();
    const value = one.slice(at + 1).trim();
    if (at <= 0 || value === "") throw new Failure(`invalid generic-resource request '${one}'`);
    return /^\d+$/.test(value)
      ? { DiscreteResourceSpec: { Kind, Value: Number(value) } }
      : { NamedResourceSpec: { Kind, Value: value } };
  });
}

const RESTART_FLAGS = ["condition", "delay", "max-attempts", "window"];

/** Docker's defaults fill in what is missing as soon as one of them is given. */
export function restartPolicy(flags: Values, had: Spec): Spec | undefined {
  if (!RESTART_FLAGS.some((name) => flags.has(`restart-${name}`))) return undefined;
  const given = present({
    Condition: flags.has("restart-condition") ? flags.text("restart-condition") : undefined,
    Delay: flags.has("restart-delay") ? flags.nanoseconds("restart-delay") : undefined,
    MaxAttempts: flags.has("restart-max-attempts")
      ? flags.number("restart-max-attempts")
      : undefined,
    Window: flags.has("restart-window") ? flags.nanoseconds("restart-window") : undefined,
  });
  const defaults = { Condition: "any", Delay: 5e9, MaxAttempts: 0 };
  return { RestartPolicy: { ...defaults, ...had, ...given } };
}

const UPDATE_FLAGS = [
  "parallelism",
  "delay",
  "monitor",
  "failure-action",
  "max-failure-ratio",
  "order",
];

export function updateConfig(
  flags: Values,
  prefix: "update" | "rollback",
  had: Spec | undefined,
): Spec | undefined {
  if (!UPDATE_FLAGS.some((name) => flags.has(`${prefix}-${name}`))) return undefined;
  const given = (name: string) => flags.has(`${prefix}-${name}`);
  const defaults = {
    Parallelism: 1,
    FailureAction: "pause",
    Monitor: 5e9,
    MaxFailureRatio: 0,
    Order: "stop-first",
  };
  return {
    ...defaults,
    ...had,
    ...present({
      Parallelism: given("parallelism") ? flags.number(`${prefix}-parallelism`) : undefined,
      Delay: given("delay") ? flags.nanoseconds(`${prefix}-delay`) : undefined,
      FailureAction: given("failure-action") ? flags.text(`${prefix}-failure-action`) : undefined,
      Monitor: given("monitor") ? flags.nanoseconds(`${prefix}-monitor`) : undefined,
      MaxFailureRatio: given("max-failure-ratio")
        ? flags.number(`${prefix}-max-failure-ratio`)
        : undefined,
      Order: given("order") ? flags.text(`${prefix}-order`) : undefined,
    }),
  };
}

export function logDriver(flags: Values): Spec {
  if (!flags.has("log-driver") && !flags.has("log-opt")) return {};
  const options = flags.has("log-opt") ? { Options: flags.map("log-opt") } : {};
  return { LogDriver: { Name: flags.text("log-driver"), ...options } };
}

const HEALTH_FLAGS = ["cmd", "interval", "timeout", "retries", "start-period"];

export function healthCheck(flags: Values): Spec | undefined {
  const given = HEALTH_FLAGS.some((name) => flags.has(`health-${name}`));
  if (flags.bool("no-healthcheck")) {
    if (given) throw new Failure("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!given) return undefined;
  const time = (name: string) => (flags.has(name) ? flags.nanoseconds(name) : undefined);
  const command = flags.text("health-cmd");
  return present({
    Test: command === "" ? undefined : ["CMD-SHELL", command],
    Interval: time("health-interval"),
    Timeout: time("health-timeout"),
    StartPeriod: time("health-start-period"),
    Retries: flags.has("health-retries") ? flags.number("health-retries") : undefined,
  });
}

/** "name:address" of the flag is "address name" of hosts(5). */
export function hostLine(text: string): string {
  const at = text.indexOf(":");
  if (at <= 0) throw new Failure(`bad format for add-host: "${text}"`);
  return `${text.slice(at + 1)} ${text.slice(0, at)}`;
}

export function capabilities(names: readonly string[]): readonly string[] {
  const full = names.map((name) => {
    const upper = name.trim().toUpperCase();
    return upper === "ALL" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  });
  return [...new Set(full)].sort();
}

export function preference(text: string): Spec {
  const [strategy = "", descriptor = ""] = text.split("=");
  if (strategy !== "spread" || descriptor === "") {
    throw new Failure(`unsupported placement preference "${text}": use spread=<descriptor>`);
  }
  return { Spread: { SpreadDescriptor: descriptor } };
}
