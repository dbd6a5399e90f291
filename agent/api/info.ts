// /info: the node, and the swarm as seen from it (engine-api.yaml SystemInfo).
import { SKEIN_VERSION } from "../../common/version.js";
import { type Cluster, type Node, NodeState, Role } from "../../proto/gen/types.js";
import { NO_LEADER } from "../member/words.js";
import type { Container, HostFacts, SwarmStatus } from "../seams.js";
import type { Call } from "./call.js";
import { clusterInfoJson } from "./cluster-json.js";
import { getCluster, isManager, listNodes, orUndefined } from "./manager.js";
import { goTime } from "./times.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: v1.49 adds FirewallBackend, v1.46 Containerd (which there is none of).
const FIREWALL_SINCE: ApiMinor = 49;

export async function infoJson(call: Call): Promise<object> {
  const host = call.node.host();
  const swarm = await swarmJson(call);
  return {
    ID: host.agentId,
    ...containerCounts(call.node.containers.list()),
    Images: 0,
    Driver: "none",
    DriverStatus: [["Images", "none: the process runtime runs commands of this machine"]],
    Plugins: {
      Volume: [],
      Network: ["host", "null", "overlay"],
      Authorization: null,
      Log: ["json-file"],
    },
    ...limitsJson(),
    Debug: false,
    NFd: -1,
    NGoroutines: 0,
    SystemTime: goTime(call.clock.nowMs()),
    LoggingDriver: "json-file",
    CgroupDriver: "none",
    CgroupVersion: "",
    NEventsListener: 0,
    ...hostJson(host),
    Swarm: swarm.json,
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: "" },
    InitCommit: { ID: "" },
    SecurityOptions: [],
    DefaultAddressPools: [],
    ...(call.version >= FIREWALL_SINCE ? { FirewallBackend: { Driver: "nftables" } } : {}),
    CDISpecDirs: [],
    Warnings: swarm.warnings.length > 0 ? swarm.warnings : null,
  };
}

function containerCounts(containers: readonly Container[]): object {
  const running = containers.filter(({ state }) => state === "running").length;
  return {
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: containers.length - running,
  };
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
    GenericResources: null,
    DockerRootDir: host.stateDir,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: host.hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: SKEIN_VERSION,
    Runtimes: { process: { path: "process" } },
    DefaultRuntime: "process",
  };
}

interface SwarmInfo {
  readonly json: object;
  readonly warnings: readonly string[];
}

async function swarmJson(call: Call): Promise<SwarmInfo> {
  const status = call.node.membership.status();
  const base = statusJson(status);
  if (status.state !== "active" || !isManager(call.node)) return { json: base, warnings: [] };
  // A manager without a leader still has an info; what it cannot know is left out, and the error says why.
  const [cluster, nodes] = await Promise.all([
    orUndefined(getCluster(call)),
    orUndefined(listNodes(call)),
  ]);
  if (!cluster || !nodes) {
    return {
      json: { ...base, ControlAvailable: true, Error: status.error || NO_LEADER },
      warnings: [],
    };
  }
  return managedJson(base, cluster, nodes.nodes);
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
    ...(warnings.length > 0 ? { Warnings: warnings } : {}),
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
const TWO_MANAGERS = `WARNING: Running Swarm in a two-manager configuration. This configuration provides
         no fault tolerance, and poses a high risk to lose control over the cluster.
         Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the
         Swarm for fault-tolerance.`;

function managerWarnings(managers: readonly Node[]): readonly string[] {
  const members = managers.filter(({ manager }) => manager !== undefined);
  const down = members.filter(({ state }) => state === NodeState.DOWN).length;
  const quorum = Math.floor(members.length / 2) + 1;
  const warnings = managers.length === 2 ? [TWO_MANAGERS] : [];
  if (down > 0 && members.length - down === quorum) {
    warnings.push(
      `WARNING: ${down} of ${members.length} managers are down. If one more fails, the swarm cannot be changed.`,
    );
  }
  return warnings;
}
