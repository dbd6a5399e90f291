// /info: the node, and the swarm as seen from it (engine-api.yaml SystemInfo).
import { Fault } from "../../common/fault.js";
import { SKEIN_VERSION } from "../../common/version.js";
import { type Cluster, type Node, NodeState, Role } from "../../proto/gen/types.js";
import type { Container, HostFacts, SwarmStatus } from "../seams.js";
import type { Call } from "./call.js";
import { clusterInfoJson } from "./cluster-json.js";
import { HttpError, httpErrorOf } from "./http-error.js";
import { getCluster, isManagerNow, listNodes } from "./manager.js";
import { offeredJson } from "./node-json.js";
import { goTime } from "./times.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: v1.49 adds FirewallBackend, v1.46 Containerd (which `ContainerdCommit` says enough of).
const FIREWALL_SINCE: ApiMinor = 49;

export async function infoJson(call: Call): Promise<object> {
  const host = call.node.host();
  const swarm = await swarmJson(call);
  const warnings = [...swarm.warnings, ...call.node.warnings()].map(asWarning);
  return {
    ID: host.agentId,
    ...containerCounts(call.node.containers.list()),
    ...(await imagesJson(call, host)),
    Plugins: {
      Volume: host.containerd ? ["local"] : [],
      Network: networkDrivers(call),
      Authorization: null,
      Log: ["json-file"],
    },
    ...limitsJson(),
    Debug: false,
    NFd: -1,
    NGoroutines: 0,
    SystemTime: goTime(call.clock.nowMs()),
    LoggingDriver: "json-file",
    CgroupDriver: host.containerd ? "cgroupfs" : "none",
    CgroupVersion: host.containerd ? String(host.cgroupVersion) : "",
    NEventsListener: 0,
    ...hostJson(host),
    Swarm: swarm.json,
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
    ContainerdCommit: { ID: host.containerd?.revision || host.containerd?.version || "" },
    RuncCommit: { ID: "" },
    InitCommit: { ID: "" },
    SecurityOptions: host.containerd ? ["name=seccomp,profile=builtin"] : [],
    DefaultAddressPools: [],
    ...(call.version >= FIREWALL_SINCE ? { FirewallBackend: { Driver: "nftables" } } : {}),
    CDISpecDirs: [],
    Warnings: warnings.length > 0 ? warnings : null,
  };
}

function containerCounts(containers: readonly Container[]): object {
  const running = containers.filter(({ state }) => state === "running").length;
  const paused = containers.filter(({ state }) => state === "paused").length;
  return {
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
  };
}

async function imagesJson(call: Call, { containerd }: HostFacts): Promise<object> {
  if (!containerd) {
    return {
      Images: 0,
      Driver: "none",
      DriverStatus: [["Images", "none: the process runtime runs commands of this machine"]],
    };
  }
  // An info is answered while containerd is away, too.
  const images = call.node.images.problem() ? [] : await call.node.images.list().catch(() => []);
  return {
    Images: images.length,
    Driver: "overlayfs",
    DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"]],
  };
}

function networkDrivers({ node }: Call): readonly string[] {
  const local = node.localNets.list().map(({ spec }) => spec?.driver ?? "");
  return [...new Set(["host", "null", "overlay", ...local.filter(Boolean)])].sort();
}

// The CLI warns of each of these that is false ("No swap limit support"). They speak of limits on
// containers that the kernel may lack; here there are none to lack, so nobody is warned.
function limitsJson(): object {
  const names = [
    "MemoryLimit",
    "SwapLimit",
    "CpuCfsPeriod",
    "CpuCfsQuota",
    "CPUShares",
    "CPUSet",
    "PidsLimit",
    "IPv4Forwarding",
    "BridgeNfIptables",
    "BridgeNfIp6tables",
    "OomKillDisable",
  ];
  return Object.fromEntries(names.map((name) => [name, true]));
}

function hostJson(host: HostFacts): object {
  return {
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.osVersion,
    OSType: "linux",
    Architecture: host.architecture === "x64" ? "x86_64" : host.architecture,
    IndexServerAddress: "",
    RegistryConfig: null,
    NCPU: host.cpus,
    MemTotal: host.memoryBytes,
    GenericResources:
      host.genericResources.length > 0 ? host.genericResources.flatMap(offeredJson) : null,
    DockerRootDir: host.stateDir,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: host.hostname,
    Labels: Object.entries(host.labels).map(([key, value]) => `${key}=${value}`),
    ExperimentalBuild: false,
    ServerVersion: SKEIN_VERSION,
    Runtimes: host.containerd
      ? { "io.containerd.runc.v2": { path: "runc" }, process: { path: "process" } }
      : { process: { path: "process" } },
    DefaultRuntime: host.containerd ? "io.containerd.runc.v2" : "process",
  };
}

interface SwarmInfo {
  readonly json: object;
  readonly warnings: readonly string[];
}

async function swarmJson(call: Call): Promise<SwarmInfo> {
  const status = call.node.membership.status();
  const base = statusJson(status);
  if (status.state !== "active" || !isManagerNow(call.node)) return { json: base, warnings: [] };
  try {
    const [cluster, { nodes }] = await Promise.all([getCluster(call), listNodes(call)]);
    return managedJson(base, cluster, nodes);
  } catch (error) {
    // A manager without a leader still has an info; what it cannot know is left out, and the error says why.
    if (!(error instanceof HttpError || error instanceof Fault)) throw error;
    const why = status.error || httpErrorOf(error).sentence;
    return { json: { ...base, ControlAvailable: true, Error: why }, warnings: [] };
  }
}

function managedJson(base: object, cluster: Cluster, nodes: readonly Node[]): SwarmInfo {
  const managers = nodes.filter((node) => node.spec?.role === Role.MANAGER);
  const warnings = managerWarnings(managers);
  const json = {
    ...base,
    ControlAvailable: true,
    Nodes: nodes.length,
    Managers: managers.length,
    Cluster: clusterInfoJson(cluster),
    ...(warnings.length > 0 ? { Warnings: warnings.map(asWarning) } : {}),
  };
  return { json, warnings };
}

function statusJson(status: SwarmStatus) {
  return {
    NodeID: status.nodeId,
    NodeAddr: status.nodeAddr,
    LocalNodeState: status.state,
    ControlAvailable: false,
    Error: status.error,
    RemoteManagers:
      status.managers.length === 0
        ? null
        : status.managers
            .map(({ nodeId, addr }) => ({ NodeID: nodeId, Addr: addr }))
            // The session lists them as they come; whoever compares two answers wants one order.
            .sort((a, b) => (a.Addr < b.Addr ? -1 : 1)),
  };
}

// dockerd's own sentence for two managers (daemon/cluster/swarm.go); the other is ours.
const TWO_MANAGERS = `Running Swarm in a two-manager configuration. This configuration provides
         no fault tolerance, and poses a high risk to lose control over the cluster.
         Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the
         Swarm for fault-tolerance.`;

/** As dockerd begins each of them. */
function asWarning(sentence: string): string {
  return `WARNING: ${sentence}`;
}

function managerWarnings(managers: readonly Node[]): readonly string[] {
  const members = managers.filter(({ manager }) => manager !== undefined);
  const down = members.filter(({ state }) => state === NodeState.DOWN).length;
  const quorum = Math.floor(members.length / 2) + 1;
  const warnings = managers.length === 2 ? [TWO_MANAGERS] : [];
  if (down > 0 && members.length - down === quorum) {
    warnings.push(
      `${down} of ${members.length} managers are down. If one more fails, the swarm cannot be changed.`,
    );
  }
  return warnings;
}
