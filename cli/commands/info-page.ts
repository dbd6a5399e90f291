// What `skein info` shows of an agent, in the order and the words of docker/cli system/info.go.

import { isMap, show } from "../../common/template/value.js";
import { bytesSize, humanNanoseconds } from "../format/units.js";
import { at, flag, items, type Json, number, object, strings, text } from "../json.js";

export function serverPage(info: Json): string {
  const page = new Page();
  containers(page, info);
  plugins(page, info);
  page.line(1, "Swarm", text(info, "Swarm", "LocalNodeState"));
  swarm(page, at(info, "Swarm"));
  runtimes(page, info);
  machine(page, info);
  return page.text();
}

class Page {
  private readonly lines: string[] = [];
  line(depth: number, name: string, value: string | number | boolean): void {
    this.lines.push(`${" ".repeat(depth)}${name}: ${value}`);
  }
  /** Only when there is something to show. */
  maybe(depth: number, name: string, value: string): void {
    if (value !== "") this.line(depth, name, value);
  }
  title(depth: number, name: string): void {
    this.lines.push(`${" ".repeat(depth)}${name}:`);
  }
  bare(depth: number, value: string): void {
    this.lines.push(`${" ".repeat(depth)}${value}`);
  }
  text(): string {
    return `${this.lines.join("\n")}\n`;
  }
}

function containers(page: Page, info: Json): void {
  page.line(1, "Containers", number(info, "Containers"));
  page.line(2, "Running", number(info, "ContainersRunning"));
  page.line(2, "Paused", number(info, "ContainersPaused"));
  page.line(2, "Stopped", number(info, "ContainersStopped"));
  page.line(1, "Images", number(info, "Images"));
  page.maybe(1, "Server Version", text(info, "ServerVersion"));
  page.maybe(1, "Storage Driver", text(info, "Driver"));
  for (const pair of items(info, "DriverStatus")) {
    const [name, value] = Array.isArray(pair) ? pair : [];
    page.line(2, show(name), show(value));
  }
  page.maybe(1, "Logging Driver", text(info, "LoggingDriver"));
  page.maybe(1, "Cgroup Driver", text(info, "CgroupDriver"));
  page.maybe(1, "Cgroup Version", text(info, "CgroupVersion"));
}

function plugins(page: Page, info: Json): void {
  page.title(1, "Plugins");
  page.line(2, "Volume", strings(info, "Plugins", "Volume").join(" "));
  page.line(2, "Network", strings(info, "Plugins", "Network").join(" "));
  page.maybe(2, "Authorization", strings(info, "Plugins", "Authorization").join(" "));
  page.line(2, "Log", strings(info, "Plugins", "Log").join(" "));
}

function swarm(page: Page, state: Json): void {
  const local = text(state, "LocalNodeState");
  if (local === "" || local === "inactive" || local === "locked") return;
  page.line(2, "NodeID", text(state, "NodeID"));
  page.maybe(2, "Error", text(state, "Error"));
  page.line(2, "Is Manager", flag(state, "ControlAvailable"));
  const cluster = at(state, "Cluster");
  const known = isMap(cluster) && flag(state, "ControlAvailable") && text(state, "Error") === "";
  if (known && local !== "error") clusterLines(page, state, cluster);
  page.line(2, "Node Address", text(state, "NodeAddr"));
  const managers = items(state, "RemoteManagers").map((peer) => text(peer, "Addr"));
  if (managers.length === 0) return;
  page.title(2, "Manager Addresses");
  for (const addr of managers.sort()) page.bare(3, addr);
}

function clusterLines(page: Page, state: Json, cluster: Json): void {
  const spec = at(cluster, "Spec");
  page.line(2, "ClusterID", text(cluster, "ID"));
  page.line(2, "Managers", number(state, "Managers"));
  page.line(2, "Nodes", number(state, "Nodes"));
  const pools = strings(cluster, "DefaultAddrPool");
  if (pools.length > 0) {
    page.line(2, "Default Address Pool", pools.join("  "));
    page.line(2, "SubnetSize", number(cluster, "SubnetSize"));
  }
  if (number(cluster, "DataPathPort") > 0) {
    page.line(2, "Data Path Port", number(cluster, "DataPathPort"));
  }
  page.title(2, "Orchestration");
  const history = number(spec, "Orchestration", "TaskHistoryRetentionLimit");
  page.line(3, "Task History Retention Limit", history);
  page.title(2, "Raft");
  page.line(3, "Snapshot Interval", number(spec, "Raft", "SnapshotInterval"));
  if (at(spec, "Raft", "KeepOldSnapshots") !== undefined) {
    page.line(3, "Number of Old Snapshots to Retain", number(spec, "Raft", "KeepOldSnapshots"));
  }
  page.line(3, "Heartbeat Tick", number(spec, "Raft", "HeartbeatTick"));
  page.line(3, "Election Tick", number(spec, "Raft", "ElectionTick"));
  page.title(2, "Dispatcher");
  const heartbeat = number(spec, "Dispatcher", "HeartbeatPeriod");
  page.line(3, "Heartbeat Period", humanNanoseconds(heartbeat));
  page.title(2, "CA Configuration");
  page.line(3, "Expiry Duration", humanNanoseconds(number(spec, "CAConfig", "NodeCertExpiry")));
  page.line(3, "Force Rotate", number(spec, "CAConfig", "ForceRotate"));
  page.line(2, "Autolock Managers", flag(spec, "EncryptionConfig", "AutoLockManagers"));
  page.line(2, "Root Rotation In Progress", flag(cluster, "RootRotationInProgress"));
}

function runtimes(page: Page, info: Json): void {
  const names = Object.keys(object(at(info, "Runtimes")));
  if (names.length > 0) {
    page.line(1, "Runtimes", names.join(" "));
    page.line(1, "Default Runtime", text(info, "DefaultRuntime"));
  }
  // An agent that runs no images has no init, containerd or runc to name.
  if (text(info, "InitBinary") !== "") {
    page.line(1, "Init Binary", text(info, "InitBinary"));
    page.line(1, "containerd version", text(info, "ContainerdCommit", "ID"));
    page.line(1, "runc version", text(info, "RuncCommit", "ID"));
    page.line(1, "init version", text(info, "InitCommit", "ID"));
  }
  const options = strings(info, "SecurityOptions");
  if (options.length > 0) page.title(1, "Security Options");
  for (const option of options) {
    const pairs = option.split(",").map((pair) => pair.split("="));
    page.bare(2, pairs.find(([key]) => key === "name")?.[1] ?? option);
    for (const [key, value] of pairs) {
      if (key === "profile") page.line(3, "Profile", value ?? "");
    }
  }
}

function machine(page: Page, info: Json): void {
  page.maybe(1, "Kernel Version", text(info, "KernelVersion"));
  page.maybe(1, "Operating System", text(info, "OperatingSystem"));
  page.maybe(1, "OSType", text(info, "OSType"));
  page.maybe(1, "Architecture", text(info, "Architecture"));
  page.line(1, "CPUs", number(info, "NCPU"));
  page.line(1, "Total Memory", bytesSize(number(info, "MemTotal")));
  page.maybe(1, "Name", text(info, "Name"));
  page.maybe(1, "ID", text(info, "ID"));
  page.line(1, "Skein Root Dir", text(info, "DockerRootDir"));
  page.line(1, "Debug Mode", flag(info, "Debug"));
  const labels = strings(info, "Labels");
  if (labels.length > 0) page.title(1, "Labels");
  for (const label of labels) page.bare(2, label);
  page.line(1, "Experimental", flag(info, "ExperimentalBuild"));
  const insecure = strings(info, "RegistryConfig", "InsecureRegistryCIDRs");
  if (insecure.length > 0) page.title(1, "Insecure Registries");
  for (const registry of insecure) page.bare(2, registry);
  page.line(1, "Live Restore Enabled", flag(info, "LiveRestoreEnabled"));
}
