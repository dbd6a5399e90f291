// What the agent counts, as Prometheus text. Each number is looked up when somebody asks.
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { SKEIN_VERSION } from "../common/version.js";
import type { Applier } from "./loops/apply.js";
import type { MembershipLoop } from "./loops/membership.js";

export interface AgentMetrics {
  readonly registry: Registry;
  text(): Promise<string>;
}

export function agentMetrics(membership: MembershipLoop, applier: Applier): AgentMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "skein_agent_" });
  const registers = [registry];
  new Gauge({
    name: "skein_agent_build_info",
    help: "Always 1; the label is the release.",
    labelNames: ["version"],
    registers,
  }).set({ version: SKEIN_VERSION }, 1);
  const held = () => membership.member?.held.current;
  const looked: readonly (readonly [string, string, () => number])[] = [
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
  return { registry, text: () => registry.metrics() };
}
