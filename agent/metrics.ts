// What the agent counts, as Prometheus text. Each number is looked up when somebody asks; until somebody
// has asked, the library is not even loaded.
import type { Registry } from "prom-client";
import { SKEIN_VERSION } from "../common/version.js";
import type { AdminStatus } from "../proto/gen/admin.js";
import type { Counts } from "./bpf/reasons.js";
import { type Measured, programmingText, registerDataPath } from "./data-path-metrics.js";
import type { Applier } from "./loops/apply.js";
import type { MembershipLoop } from "./loops/membership.js";
import { registerAccelerated } from "./metrics-accelerated.js";
import type { FlowTable } from "./seams.js";

export interface AgentMetrics {
  text(): Promise<string>;
}

export function agentMetrics(
  membership: MembershipLoop,
  applier: Applier,
  flowTable: () => FlowTable | undefined,
  measured: Measured,
  accelerated: () => ReadonlyMap<number, Counts> = () => new Map(),
): AgentMetrics {
  let registry: Promise<Registry> | undefined;
  const beside: Beside = { status: undefined, flows: undefined };
  return {
    text: async () => {
      registry ??= register(membership, applier, beside, measured).then(async (made) => {
        await registerAccelerated(made, accelerated);
        return made;
      });
      beside.status = await membership.managerStatus();
      beside.flows = flowTable();
      return `${await (await registry).metrics()}${programmingText(measured.applied)}`;
    },
  };
}

async function register(
  membership: MembershipLoop,
  applier: Applier,
  beside: Beside,
  measured: Measured,
): Promise<Registry> {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  registerDataPath({ Counter, Gauge }, registry, measured);
  const registers = [registry];
  // Not the library's default metrics: to know the event loop's delay they wake the process 100 times a second.
  new Counter({
    name: "skein_agent_process_cpu_seconds_total",
    help: "User and system CPU time of the agent.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: "skein_agent_build_info",
    help: "Always 1; the label is the release.",
    labelNames: ["version"],
    registers,
  }).set({ version: SKEIN_VERSION }, 1);
  const held = () => membership.member?.held.current;
  const looked: readonly (readonly [string, string, () => number])[] = [
    [
      "skein_agent_process_resident_memory_bytes",
      "Resident memory of the agent.",
      () => process.memoryUsage.rss(),
    ],
    [
      "skein_agent_process_start_time_seconds",
      "When the agent started, since 1970.",
      () => performance.timeOrigin / 1000,
    ],
    [
      "skein_agent_nodejs_heap_size_used_bytes",
      "JavaScript heap in use.",
      () => process.memoryUsage().heapUsed,
    ],
    [
      "skein_agent_session_open",
      "1 while a session with a manager is open.",
      () => (membership.member?.session.kind === "open" ? 1 : 0),
    ],
    [
      "skein_agent_revision",
      "Store revision of the assignments held.",
      () => held()?.revision ?? 0,
    ],
    ["skein_agent_networks", "Networks that are on this node.", () => held()?.networks.length ?? 0],
    [
      "skein_agent_endpoints",
      "Endpoints known of the networks that are on this node, its own included.",
      () => held()?.endpoints.length ?? 0,
    ],
    [
      "skein_agent_kernel_problems",
      "Things wanted in the kernel that could not be made so.",
      () => applier.problems().size,
    ],
  ];
  for (const [name, help, look] of looked) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(look());
      },
    });
  }
  for (const [name, help, of] of FLOW_NUMBERS) {
    new Gauge({
      name: `skein_conntrack_${name}`,
      help,
      registers,
      collect() {
        this.set(beside.flows === undefined ? 0 : of(beside.flows));
      },
    });
  }
  for (const [name, help, of] of MANAGER_NUMBERS) {
    new Gauge({
      name: `skein_manager_${name}`,
      help,
      registers,
      collect() {
        this.set(beside.status === undefined ? 0 : of(beside.status));
      },
    });
  }
  return registry;
}

/** What is asked once for all its numbers. */
interface Beside {
  /** The manager process beside this agent, where there is one. */
  status: AdminStatus | undefined;
  flows: FlowTable | undefined;
}

const FLOW_NUMBERS: readonly (readonly [string, string, (flows: FlowTable) => number])[] = [
  [
    "entries",
    "Connections in the kernel's table, of the machine's own namespace.",
    (f) => f.entries,
  ],
  ["max", "Connections that the table takes (net.netfilter.nf_conntrack_max).", (f) => f.max],
  ["dropped_total", "Packets of new connections dropped because it was full.", (f) => f.dropped],
];

const MANAGER_NUMBERS: readonly (readonly [string, string, (status: AdminStatus) => number])[] = [
  [
    "running",
    "1 while this node's manager process runs and has its seat in the Raft group.",
    ({ state }) => Number(state === "running"),
  ],
  ["raft_term", "Raft term.", ({ term }) => term],
  ["raft_commit", "Index of the last committed Raft entry.", ({ commit }) => commit],
  ["raft_members", "Members of the Raft group, learners included.", (s) => s.members.length],
  [
    "raft_leader",
    "1 while this manager leads.",
    ({ raftId, leaderRaftId }) => Number(raftId !== 0 && raftId === leaderRaftId),
  ],
  ["port_connections", "Connections to port 2377.", ({ port }) => port?.open ?? 0],
  [
    "port_strangers",
    "Connections to port 2377 that have shown no certificate of this swarm.",
    ({ port }) => port?.strangers ?? 0,
  ],
  [
    "port_accepted_total",
    "Connections that port 2377 has accepted.",
    ({ port }) => port?.accepted ?? 0,
  ],
  [
    "port_handshakes_failed_total",
    "Connections to port 2377 that were no TLS 1.3 with HTTP/2.",
    ({ port }) => port?.handshakesFailed ?? 0,
  ],
  [
    "port_strangers_late_total",
    "Connections ended because they showed no certificate in time.",
    ({ port }) => port?.strangersLate ?? 0,
  ],
  [
    "port_strangers_crowded_total",
    "Connections without a certificate ended to make room for newer ones.",
    ({ port }) => port?.strangersCrowded ?? 0,
  ],
];
