// `skein service inspect --pretty`: the rows that Docker shows, in its order. Each row stands only where
// there is something to say.
import { bytesSize, humanDuration } from "../format/units.js";
import { at, flag, items, type Json, number, object, strings, text } from "../json.js";

export function prettyService(
  service: Json,
  networkNames: ReadonlyMap<string, string>,
  nowMs: number,
): string {
  const spec = at(service, "Spec");
  const task = at(spec, "TaskTemplate");
  const rows = [
    "",
    `ID:\t\t${text(service, "ID")}`,
    `Name:\t\t${text(spec, "Name")}`,
    ...pairs("Labels:", " ", at(spec, "Labels"), "="),
    ...modeRows(spec),
    ...statusRows(at(service, "UpdateStatus"), nowMs),
    ...placementRows(at(task, "Placement")),
    ...configRows("Update", at(spec, "UpdateConfig")),
    ...configRows("Rollback", at(spec, "RollbackConfig")),
    ...containerRows(at(task, "ContainerSpec")),
    ...logRows(at(task, "LogDriver")),
    ...resourceRows(at(task, "Resources")),
    ...networkRows(task, networkNames),
    `Endpoint Mode:\t${text(spec, "EndpointSpec", "Mode")}`,
    ...portRows(items(service, "Endpoint", "Ports")),
    ...healthRows(at(task, "ContainerSpec", "Healthcheck")),
    "",
  ];
  return `${rows.join("\n")}\n`;
}

function pairs(title: string, indent: string, map: Json, sign: string): readonly string[] {
  const entries = Object.entries(object(map)).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return [];
  const row = ([key, value]: [string, Json]) =>
    `${indent}${key}${value === "" ? "" : `${sign}${String(value)}`}`;
  return [title, ...entries.map(row)];
}

function modeRows(spec: Json): readonly string[] {
  const mode = object(at(spec, "Mode"));
  if (mode["Global"] !== undefined) return ["Service Mode:\tGlobal"];
  if (mode["Replicated"] !== undefined) {
    return ["Service Mode:\tReplicated", ` Replicas:\t${number(mode["Replicated"], "Replicas")}`];
  }
  if (mode["GlobalJob"] !== undefined) return ["Service Mode:\tGlobal Job"];
  const job = mode["ReplicatedJob"];
  return [
    "Service Mode:\tReplicated Job",
    ` Completions:\t${number(job, "TotalCompletions")}`,
    ` At once:\t${number(job, "MaxConcurrent")}`,
  ];
}

function statusRows(status: Json, nowMs: number): readonly string[] {
  const state = text(status, "State");
  if (state === "") return [];
  const ago = (key: string) => `${humanDuration(nowMs - Date.parse(text(status, key)))} ago`;
  const started = text(status, "StartedAt") === "" ? [] : [` Started:\t${ago("StartedAt")}`];
  const isOver = state === "completed" && text(status, "CompletedAt") !== "";
  return [
    "UpdateStatus:",
    ` State:\t\t${state}`,
    ...started,
    ...(isOver ? [` Completed:\t${ago("CompletedAt")}`] : []),
    ` Message:\t${text(status, "Message")}`,
  ];
}

function placementRows(placement: Json): readonly string[] {
  const constraints = strings(placement, "Constraints");
  const spread = items(placement, "Preferences").map(
    (one) => `spread=${text(one, "Spread", "SpreadDescriptor")}`,
  );
  const max = number(placement, "MaxReplicas");
  return [
    "Placement:",
    ...(constraints.length > 0 ? [` Constraints:\t[${constraints.join(" ")}]`] : []),
    ...(spread.length > 0 ? [` Preferences:   [${spread.join(" ")}]`] : []),
    ...(max > 0 ? [` Max Replicas Per Node:   ${max}`] : []),
  ];
}

function configRows(kind: "Update" | "Rollback", config: Json): readonly string[] {
  if (Object.keys(object(config)).length === 0) return [];
  const delay = number(config, "Delay");
  const monitor = number(config, "Monitor");
  const gap = kind === "Update" ? "      " : "    ";
  return [
    `${kind}Config:`,
    ` Parallelism:\t${number(config, "Parallelism")}`,
    ...(delay > 0 ? [` Delay:\t\t${goDuration(delay)}`] : []),
    ` On failure:\t${text(config, "FailureAction")}`,
    ...(monitor > 0 ? [` Monitoring Period: ${goDuration(monitor)}`] : []),
    ` Max failure ratio: ${number(config, "MaxFailureRatio")}`,
    ` ${kind} order:${gap}${text(config, "Order")}`,
  ];
}

function containerRows(container: Json): readonly string[] {
  const words = (key: string) => strings(container, key);
  const line = (name: string, key: string) =>
    words(key).length > 0 ? [` ${name}:\t\t${words(key).join(" ")} `] : [];
  const one = (name: string, key: string) =>
    text(container, key) === "" ? [] : [` ${name}${text(container, key)}`];
  const init = at(container, "Init");
  const add = words("CapabilityAdd");
  const drop = words("CapabilityDrop");
  const ulimits = items(container, "Ulimits").map((limit): readonly [string, string] => [
    text(limit, "Name"),
    `${number(limit, "Soft")}:${number(limit, "Hard")}`,
  ]);
  return [
    "ContainerSpec:",
    ` Image:\t\t${text(container, "Image")}`,
    ...line("Args", "Args"),
    ...line("Env", "Env"),
    ...one("Dir:\t\t", "Dir"),
    ...(typeof init === "boolean" ? [` Init:\t\t${init}`] : []),
    ...one("User: ", "User"),
    ...(add.length + drop.length > 0 ? ["Capabilities:"] : []),
    ...(add.length > 0 ? [` Add: ${add.join(", ")}`] : []),
    ...(drop.length > 0 ? [` Drop: ${drop.join(", ")}`] : []),
    ...pairs("SysCtls:", " ", at(container, "Sysctls"), ": "),
    ...pairs("Ulimits:", " ", Object.fromEntries(ulimits), ": "),
    ...mountRows(items(container, "Mounts")),
    ...referenceRows("Config", items(container, "Configs")),
    ...referenceRows("Secret", items(container, "Secrets")),
  ];
}

function mountRows(mounts: readonly Json[]): readonly string[] {
  if (mounts.length === 0) return [];
  const rows = mounts.flatMap((mount) => [
    ` Target:\t${text(mount, "Target")}`,
    `  Source:\t${text(mount, "Source")}`,
    `  ReadOnly:\t${flag(mount, "ReadOnly")}`,
    `  Type:\t\t${text(mount, "Type")}`,
  ]);
  return ["Mounts:", ...rows];
}

function referenceRows(kind: "Config" | "Secret", references: readonly Json[]): readonly string[] {
  if (references.length === 0) return [];
  const rows = references.flatMap((one) => [
    ` Target:\t${text(one, "File", "Name")}`,
    `  Source:\t${text(one, `${kind}Name`)}`,
  ]);
  return [`${kind}s:`, ...rows];
}

function logRows(driver: Json): readonly string[] {
  if (Object.keys(object(driver)).length === 0) return [];
  const name = text(driver, "Name");
  return [
    "Log Driver:",
    ...(name === "" ? [] : [` Name:\t\t${name}`]),
    ...pairs(" LogOpts:", "  ", at(driver, "Options"), ":       "),
    "",
  ];
}

function resourceRows(resources: Json): readonly string[] {
  if (at(resources, "Limits") === undefined && at(resources, "Reservations") === undefined)
    return [];
  const rows = (title: string, key: string) => {
    const cpus = number(resources, key, "NanoCPUs") / 1e9;
    const memory = number(resources, key, "MemoryBytes");
    const pids = number(resources, key, "Pids");
    if (cpus + memory + pids === 0) return [];
    return [
      ` ${title}:`,
      ...(cpus > 0 ? [`  CPU:\t\t${cpus}`] : []),
      ...(memory > 0 ? [`  Memory:\t${bytesSize(memory)}`] : []),
      ...(pids > 0 ? [`  PIDs:\t\t${pids}`] : []),
    ];
  };
  return ["Resources:", ...rows("Reservations", "Reservations"), ...rows("Limits", "Limits")];
}

function networkRows(task: Json, names: ReadonlyMap<string, string>): readonly string[] {
  const networks = items(task, "Networks").map((one) => {
    const target = text(one, "Target");
    return names.get(target) ?? target;
  });
  return networks.length === 0 ? [] : [`Networks: ${networks.join(" ")} `];
}

function portRows(ports: readonly Json[]): readonly string[] {
  if (ports.length === 0) return [];
  const rows = ports.flatMap((port) => [
    ` PublishedPort = ${number(port, "PublishedPort")}`,
    `  Protocol = ${text(port, "Protocol")}`,
    `  TargetPort = ${number(port, "TargetPort")}`,
    `  PublishMode = ${text(port, "PublishMode")}`,
  ]);
  return ["Ports:", ...rows.slice(0, -1), `${rows.at(-1)} `];
}

function healthRows(health: Json): readonly string[] {
  if (Object.keys(object(health)).length === 0) return [];
  const time = (key: string) => goDuration(number(health, key));
  return [
    " Healthcheck:",
    `  Interval = ${time("Interval")}`,
    `  Retries = ${number(health, "Retries")}`,
    `  StartPeriod =\t${time("StartPeriod")}`,
    `  Timeout =\t${time("Timeout")}`,
    ...(strings(health, "Test").length > 0 ? ["  Tests:"] : []),
    ...strings(health, "Test").map((test) => `\t Test = ${test}`),
  ];
}

/** Go's time.Duration as text: "1h2m3.5s", "250ms". */
function goDuration(ns: number): string {
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${ns / 1e3}µs`;
  if (ns < 1e9) return `${ns / 1e6}ms`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor((ns % 3600e9) / 60e9);
  const seconds = (ns % 60e9) / 1e9;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
