// What the agent counts, as Prometheus text. Each number is looked up when somebody asks; until somebody
// has asked, the library is not even loaded.
import type { Registry } from "prom-client";
import { SKEIN_VERSION } from "../common/version.js";
import type { Applier } from "./loops/apply.js";
import type { MembershipLoop } from "./loops/membership.js";

export interface AgentMetrics {
  text(): Promise<string>;
}

export function agentMetrics(membership: MembershipLoop, applier: Applier): AgentMetrics {
  let registry: Promise<Registry> | undefined;
  return {
    text: async () => {
      registry ??= register(membership, applier);
      return (await registry).metrics();
    },
  };
}

async function register(membership: MembershipLoop, applier: Applier): Promise<Registry> {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
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
  return registry;
}
