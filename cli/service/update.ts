// The flags of `service update` → changes of a ServiceSpec that the manager has. What no flag names stays
// as it is, field by field, those that this client does not know too. After docker/cli service/update.go.

import { environmentLines } from "../args/environment.js";
import { parseNetwork } from "../args/network-option.js";
import { parseBytes, parseNanoCpus, parseUlimit, shellWords } from "../args/quantities.js";
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import { at, list, number, object, text } from "../json.js";
import {
  capabilities,
  genericResources,
  healthCheck,
  hostLine,
  logDriver,
  preference,
  present,
  refuseWindows,
  restartPolicy,
  tagged,
  updateConfig,
} from "./create.js";
import { parseMount } from "./mount.js";
import { findNetworks, networkId } from "./networks.js";
import { isTarget, type Port, parsePorts } from "./port.js";
import { findReferences } from "./references.js";

type Spec = Record<string, unknown>;
type Json = Parameters<typeof object>[0];

export async function updatedSpec(cli: Cli, flags: Values, had: Json): Promise<Spec> {
  refuseWindows(flags);
  const spec: Spec = { ...object(had) };
  const task: Spec = { ...object(at(had, "TaskTemplate")) };
  spec["Labels"] = editMap(flags, at(had, "Labels"), "label");
  task["ContainerSpec"] = await updatedContainer(cli, flags, at(task as Json, "ContainerSpec"));
  task["Resources"] = updatedResources(flags, at(task as Json, "Resources"));
  Object.assign(task, restartPolicy(flags, { ...object(at(task as Json, "RestartPolicy")) }));
  task["Placement"] = updatedPlacement(flags, at(task as Json, "Placement"));
  if (flags.has("network-add") || flags.has("network-rm")) {
    task["Networks"] = await updatedNetworks(cli, flags, list(at(task as Json, "Networks")));
  }
  Object.assign(task, logDriver(flags));
  if (flags.bool("force")) task["ForceUpdate"] = number(task as Json, "ForceUpdate") + 1;
  spec["TaskTemplate"] = task;
  spec["Mode"] = updatedMode(flags, at(had, "Mode"));
  for (const [key, prefix] of [
    ["UpdateConfig", "update"],
    ["RollbackConfig", "rollback"],
  ] as const) {
    const config = updateConfig(flags, prefix, { ...object(at(had, key)) });
    if (config !== undefined) spec[key] = config;
  }
  spec["EndpointSpec"] = updatedEndpoint(flags, at(had, "EndpointSpec"));
  return spec;
}

async function updatedContainer(cli: Cli, flags: Values, had: Json): Promise<Spec> {
  const container: Spec = { ...object(had) };
  const set = (key: string, name: string, value: unknown) => {
    if (flags.has(name)) container[key] = value;
  };
  set("Image", "image", tagged(flags.text("image")));
  set("Args", "args", shellWords(flags.text("args")));
  set("Command", "entrypoint", shellWords(flags.text("entrypoint")));
  set("Hostname", "hostname", flags.text("hostname"));
  set("Dir", "workdir", flags.text("workdir"));
  set("User", "user", flags.text("user"));
  set("TTY", "tty", flags.bool("tty"));
  set("Init", "init", flags.bool("init"));
  set("ReadOnly", "read-only", flags.bool("read-only"));
  set("StopSignal", "stop-signal", flags.text("stop-signal"));
  set("StopGracePeriod", "stop-grace-period", flags.nanoseconds("stop-grace-period"));
  const keyOf = (line: unknown) => String(line).split("=")[0] ?? "";
  const edits: readonly (readonly [
    string,
    string,
    readonly unknown[],
    (one: unknown) => string,
  ])[] = [
    ["Env", "env", environmentLines(cli, flags.list("env-add")), keyOf],
    ["Groups", "group", flags.list("group-add"), String],
    ["Hosts", "host", flags.list("host-add").map(hostLine), String],
    ["Mounts", "mount", flags.list("mount-add").map(parseMount), (m) => text(m as Json, "Target")],
    [
      "Ulimits",
      "ulimit",
      flags.list("ulimit-add").map(parseUlimit),
      (u) => text(u as Json, "Name"),
    ],
  ];
  for (const [key, name, added, keyOfOne] of edits) {
    const removed = flags.list(`${name}-rm`).map((one) => (name === "host" ? hostLine(one) : one));
    if (!flags.has(`${name}-add`) && removed.length === 0) continue;
    container[key] = edit(list(at(had, key)), added, removed, keyOfOne);
  }
  if (flags.has("container-label-add") || flags.has("container-label-rm")) {
    container["Labels"] = editMap(flags, at(had, "Labels"), "container-label");
  }
  if (flags.has("sysctl-add") || flags.has("sysctl-rm")) {
    container["Sysctls"] = editMap(flags, at(had, "Sysctls"), "sysctl");
  }
  container["DNSConfig"] = updatedDns(flags, at(had, "DNSConfig"));
  updateCapabilities(flags, container);
  updateHealth(flags, container);
  for (const kind of ["secret", "config"] as const)
    await updateReferences(cli, flags, container, kind);
  return container;
}

/** What is added takes the place of what has the same key; what is removed is named by its key. */
function edit<T>(
  had: readonly T[],
  added: readonly T[],
  removed: readonly string[],
  keyOf: (one: T) => string,
): readonly T[] {
  const gone = new Set([...removed, ...added.map(keyOf)]);
  return [...had.filter((one) => !gone.has(keyOf(one))), ...added];
}

function editMap(flags: Values, had: Json, name: string): Spec {
  const map: Spec = { ...object(had) };
  for (const key of flags.list(`${name}-rm`)) delete map[key];
  return { ...map, ...flags.map(`${name}-add`) };
}

function updatedDns(flags: Values, had: Json): Spec {
  const dns: Spec = { ...object(had) };
  for (const [key, name] of [
    ["Nameservers", "dns"],
    ["Search", "dns-search"],
    ["Options", "dns-option"],
  ] as const) {
    if (!flags.has(`${name}-add`) && !flags.has(`${name}-rm`)) continue;
    const before = list(at(had, key)).map(String);
    dns[key] = edit(before, flags.list(`${name}-add`), flags.list(`${name}-rm`), String);
  }
  return dns;
}

/** A capability that is added is no longer dropped, and the other way round. */
function updateCapabilities(flags: Values, container: Spec): void {
  if (!flags.has("cap-add") && !flags.has("cap-drop")) return;
  const had = (key: string) => list(at(container as Json, key)).map(String);
  const add = capabilities(flags.list("cap-add"));
  const drop = capabilities(flags.list("cap-drop"));
  const without = (names: readonly string[], others: readonly string[]) =>
    names.filter((name) => !others.includes(name));
  container["CapabilityAdd"] = capabilities([...without(had("CapabilityAdd"), drop), ...add]);
  container["CapabilityDrop"] = capabilities([...without(had("CapabilityDrop"), add), ...drop]);
}

function updateHealth(flags: Values, container: Spec): void {
  const given = healthCheck(flags);
  if (given === undefined) return;
  const isNone = flags.bool("no-healthcheck");
  const had = object(at(container as Json, "Healthcheck"));
  const wasNone = list(had["Test"])[0] === "NONE";
  container["Healthcheck"] = isNone || wasNone ? given : { ...had, ...given };
}

async function updateReferences(
  cli: Cli,
  flags: Values,
  container: Spec,
  kind: "secret" | "config",
): Promise<void> {
  if (!flags.has(`${kind}-add`) && !flags.has(`${kind}-rm`)) return;
  const [key, word] = kind === "secret" ? ["Secrets", "Secret"] : ["Configs", "Config"];
  const added = await findReferences(cli, kind, flags.list(`${kind}-add`));
  const removed = new Set(flags.list(`${kind}-rm`));
  const kept = list(at(container as Json, key ?? "")).filter(
    (one) => !removed.has(text(one, `${word}Name`)) && !removed.has(text(one, `${word}ID`)),
  );
  container[key ?? ""] = [...kept, ...added];
}

function updatedResources(flags: Values, had: Json): Spec {
  const limits: Spec = { ...object(at(had, "Limits")) };
  const reservations: Spec = { ...object(at(had, "Reservations")) };
  const set = (where: Spec, key: string, name: string, value: unknown) => {
    if (flags.has(name)) where[key] = value;
  };
  set(limits, "NanoCPUs", "limit-cpu", parseNanoCpus(flags.text("limit-cpu")));
  set(limits, "MemoryBytes", "limit-memory", parseBytes(flags.text("limit-memory")));
  set(limits, "Pids", "limit-pids", flags.number("limit-pids"));
  set(reservations, "NanoCPUs", "reserve-cpu", parseNanoCpus(flags.text("reserve-cpu")));
  set(reservations, "MemoryBytes", "reserve-memory", parseBytes(flags.text("reserve-memory")));
  if (flags.has("generic-resource-add") || flags.has("generic-resource-rm")) {
    const before = list(at(reservations as Json, "GenericResources"));
    const added = flags.list("generic-resource-add").flatMap(genericResources) as Json[];
    const kind = (one: Json) =>
      text(one, "DiscreteResourceSpec", "Kind") || text(one, "NamedResourceSpec", "Kind");
    const removed = flags.list("generic-resource-rm");
    reservations["GenericResources"] = edit(before, added, removed, kind);
  }
  return { ...object(had), Limits: limits, Reservations: reservations };
}

function updatedPlacement(flags: Values, had: Json): Spec {
  const placement: Spec = { ...object(had) };
  if (flags.has("constraint-add") || flags.has("constraint-rm")) {
    const before = list(at(had, "Constraints")).map(String);
    const after = edit(before, flags.list("constraint-add"), flags.list("constraint-rm"), String);
    placement["Constraints"] = [...after].sort();
  }
  if (flags.has("placement-pref-add") || flags.has("placement-pref-rm")) {
    const nameOf = (one: Json) => text(one, "Spread", "SpreadDescriptor");
    const removed = flags.list("placement-pref-rm").map((one) => nameOf(preference(one) as Json));
    const added = flags.list("placement-pref-add").map(preference) as Json[];
    placement["Preferences"] = edit(list(at(had, "Preferences")), added, removed, nameOf);
  }
  if (flags.has("replicas-max-per-node")) {
    placement["MaxReplicas"] = flags.number("replicas-max-per-node");
  }
  return placement;
}

async function updatedNetworks(
  cli: Cli,
  flags: Values,
  had: readonly Json[],
): Promise<readonly unknown[]> {
  const removed = new Set<string>();
  for (const name of flags.list("network-rm")) removed.add(await networkId(cli, name));
  const kept = had.filter((one) => !removed.has(text(one, "Target")));
  const present = new Set(kept.map((one) => text(one, "Target")));
  const added = await findNetworks(cli, flags.list("network-add"));
  for (const [i, one] of added.entries()) {
    if (!present.has(String(one["Target"]))) continue;
    const { name } = parseNetwork(flags.list("network-add")[i] ?? "");
    throw new Failure(`service is already attached to network ${name}`);
  }
  return [...kept, ...added];
}

function updatedMode(flags: Values, had: Json): Spec {
  const mode: Spec = { ...object(had) };
  const isJob = at(had, "ReplicatedJob") !== undefined;
  const isReplicated = at(had, "Replicated") !== undefined;
  if (flags.has("replicas") && !isJob && !isReplicated) {
    throw new Failure("replicas can only be used with replicated or replicated-job mode");
  }
  if (flags.has("max-concurrent") && !isJob) {
    throw new Failure("max-concurrent can only be used with replicated-job mode");
  }
  const replicas = flags.number("replicas");
  if (isReplicated && flags.has("replicas")) mode["Replicated"] = { Replicas: replicas };
  if (isJob) {
    mode["ReplicatedJob"] = {
      ...object(at(had, "ReplicatedJob")),
      ...(flags.has("replicas") ? { TotalCompletions: replicas } : {}),
      ...(flags.has("max-concurrent") ? { MaxConcurrent: flags.number("max-concurrent") } : {}),
    };
  }
  return mode;
}

function updatedEndpoint(flags: Values, had: Json): Spec {
  const endpoint: Spec = { ...object(had) };
  if (flags.has("endpoint-mode")) endpoint["Mode"] = flags.text("endpoint-mode");
  if (flags.has("publish-add") || flags.has("publish-rm")) {
    const before = list(at(had, "Ports")).map(portOf);
    const removed = flags.list("publish-rm");
    const added = flags.list("publish-add").flatMap(parsePorts);
    const kept = before.filter((port) => !removed.some((one) => isTarget(port, one)));
    const ports = edit(kept, added, [], keyOfPort);
    endpoint["Ports"] = [...ports].sort((a, b) => a.TargetPort - b.TargetPort);
  }
  return present(endpoint);
}

function portOf(port: Json): Port {
  return {
    Protocol: text(port, "Protocol") || "tcp",
    TargetPort: number(port, "TargetPort"),
    PublishedPort: number(port, "PublishedPort"),
    PublishMode: text(port, "PublishMode") || "ingress",
  };
}

function keyOfPort(port: Port): string {
  return `${port.PublishedPort}:${port.TargetPort}/${port.Protocol}/${port.PublishMode}`;
}
