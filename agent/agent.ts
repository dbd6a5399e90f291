// The agent, from what it may touch to what the local API may ask: makes the loops, joins them, starts
// them in the order that keeps traffic flowing, and stops them in the reverse.
import type { Clock } from "../common/clock.js";
import { Closing } from "../common/closing.js";
import { isRefusal, messageOf } from "../common/fault.js";
import type { Logger } from "../common/log.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import { SKEIN_VERSION } from "../common/version.js";
import { Signal } from "../common/watch.js";
import type { NodeDescription } from "../proto/gen/types.js";
import type { Applier } from "./loops/apply.js";
import { EventLog } from "./loops/events.js";
import { HeldAssignments } from "./loops/held-assignments.js";
import { Member, type MemberDeps } from "./loops/member.js";
import { MembershipLoop } from "./loops/membership.js";
import { Places } from "./loops/places.js";
import { runProbe } from "./loops/probe.js";
import { followSwarmEvents } from "./loops/swarm-events.js";
import type { Tenants, TenantTools } from "./loops/tenants.js";
import type { Kernel } from "./reconcile/kernel.js";
import type {
  AgentNode,
  CertificateDoor,
  IdentityDisk,
  Journal,
  MachineDoor,
  MachineFacts,
  ManagerHost,
  NodeDisk,
  Pinger,
} from "./seams.js";

/** Everything outside; main.ts has the real ones. */
export interface Powers {
  readonly hostname: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly agentId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  readonly nodeDisk: NodeDisk;
  readonly identityDisk: IdentityDisk;
  readonly journal: Journal;
  readonly door: CertificateDoor;
  readonly openLink: MemberDeps["openLink"];
  readonly manager: ManagerHost;
  /** Stops the manager process with the agent, or leaves it to systemd. */
  readonly endManager: () => Promise<void>;
  readonly machine: MachineDoor;
  readonly facts: MachineFacts;
  readonly kernel: Kernel;
  readonly applier: Applier;
  readonly pinger: Pinger;
  readonly makeTenants: (tools: TenantTools) => Tenants;
}

export interface RunningAgent {
  readonly node: Omit<AgentNode, "metrics">;
  readonly membership: MembershipLoop;
  /** Takes the agent away and leaves sandboxes, processes and the kernel's state as they are. */
  close(): Promise<void>;
}

export async function startAgent(powers: Powers): Promise<RunningAgent> {
  const { clock, timing, log, applier, kernel, manager } = powers;
  const closing = new Closing(log);
  const stop = new AbortController();
  const events = new EventLog();
  const places = new Places(applier, kernel, powers.runDir, clock, timing);
  closing.push("kernel", () => kernel.close());
  closing.push("applier", () => applier.close());
  closing.push("manager", powers.endManager);

  const tenants = powers.makeTenants({ endpoints: places, placing: places, events });
  const told = new Signal();
  let untold = () => {};
  const membership = new MembershipLoop({
    ...powers,
    makeMember: async (record, identity) => {
      const heard = await powers.journal.load();
      const held = new HeldAssignments(heard, record.nodeId, powers.journal, clock, timing, log);
      return new Member(record, identity, held, {
        ...powers,
        describe: () => describe(powers),
        onProbe(member, probe, report, signal) {
          const netnsOf = (id: string) => places.netnsOf(id);
          const { nodeId } = member.record;
          const assignments = member.held.current;
          const context = { nodeId, assignments, netnsOf, pinger: powers.pinger, log };
          runProbe(probe, context, report, signal).catch((error: unknown) => {
            log.warn({ err: messageOf(error) }, "probe failed");
          });
        },
      });
    },
    async onMember(member) {
      untold();
      places.setMember(member);
      untold = member?.held.changed.subscribe(() => told.notify()) ?? (() => {});
      if (member === undefined) await tenants.networksGone();
    },
  });
  closing.push("membership", () => membership.close());
  closing.push("tenants", () => tenants.close());
  closing.push("loops", () => stop.abort());

  try {
    await tenants.check();
    // The journal first: what is declared meanwhile finds its networks, with or without a manager.
    await membership.resume();
    await tenants.restore();
    places.restored();
  } catch (error) {
    await closing.closeAll();
    throw error;
  }
  const loops = Promise.all([
    followSwarmEvents(manager, events, clock, timing, stop.signal),
    tellTenants(membership, tenants, told, stop.signal),
    returnOrphans(membership, places, powers, stop.signal),
  ]);
  closing.push("wait for loops", async () => {
    stop.abort();
    await loops;
  });
  return {
    membership,
    close: () => closing.closeAll(),
    node: {
      membership,
      containers: tenants.containers,
      attachments: tenants.attachments,
      events,
      localNetworks: () => localNetworks(membership.member),
      host: () => ({ ...powers.facts, ...pick(powers) }),
    },
  };
}

function pick({ hostname, stateDir, agentId }: Powers) {
  return { hostname, stateDir, agentId };
}

function describe({ hostname, facts }: Powers): NodeDescription {
  return {
    hostname,
    platform: { architecture: facts.architecture, os: "linux" },
    nanoCpus: facts.cpus * 1e9,
    memoryBytes: facts.memoryBytes,
    engineVersion: SKEIN_VERSION,
    engineLabels: {},
    plugins: [{ type: "Network", name: "overlay" }],
    kernelVersion: facts.kernelVersion,
  };
}

function localNetworks(member: Member | undefined): ReturnType<AgentNode["localNetworks"]> {
  if (member === undefined) return [];
  const { networks, endpoints, peers } = member.held.current;
  const { nodeId } = member.record;
  return networks.map((network) => {
    const on = endpoints.filter((endpoint) => endpoint.networkId === network.id);
    const nodes = new Set(on.map((endpoint) => endpoint.nodeId));
    return {
      network,
      endpoints: on.filter((endpoint) => endpoint.nodeId === nodeId),
      peers: peers
        .filter((peer) => nodes.has(peer.nodeId))
        .map((peer) => ({ nodeId: peer.nodeId, addr: peer.dataPathAddr, hostname: peer.hostname })),
    };
  });
}

/** What the swarm took away (a network removed by force) is trouble for whoever had it. */
async function tellTenants(
  membership: MembershipLoop,
  tenants: Tenants,
  told: Signal,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await told.wait(signal).catch(() => {});
    const member = membership.member;
    // Before the swarm has spoken, what is held may be a journal that a crash left behind.
    if (member === undefined || !member.everOpen || signal.aborted) continue;
    const { revision, endpoints } = member.held.current;
    const own = endpoints.filter((endpoint) => endpoint.nodeId === member.record.nodeId);
    await tenants.told(revision, new Set(own.map((endpoint) => endpoint.id)));
  }
}

/** Gives back what the swarm believes to be here and is not: a crash came between two steps. */
async function returnOrphans(
  membership: MembershipLoop,
  places: Places,
  { clock, timing, log }: Powers,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(timing.resyncMs, signal).catch(() => {});
    const member = membership.member;
    if (member?.session.kind !== "open" || signal.aborted) continue;
    for (const id of places.orphans()) {
      const answer = await places.detach(id).catch((error: unknown) => error);
      const failed = isRefusal(answer) || answer instanceof Error;
      log.info({ endpoint: id, err: failed ? messageOf(answer) : undefined }, "orphan detached");
    }
  }
}
