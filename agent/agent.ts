// The agent, from what it may touch to what the local API may ask: makes the loops, joins them, starts
// them in the order that keeps traffic flowing, and stops them in the reverse.
import { setMaxListeners } from "node:events";
import { Closing } from "../common/closing.js";
import { messageOf } from "../common/fault.js";
import { Signal, type Topic, type Unsubscribe } from "../common/watch.js";
import { localNetworks } from "./assignments/local-networks.js";
import type { Measured } from "./data-path-metrics.js";
import { answers } from "./loops/answers.js";
import { Checkup } from "./loops/checkup.js";
import { DataPathCountsOfNode, deviceCounts } from "./loops/data-path-counts.js";
import { Drain } from "./loops/drain.js";
import { Encryption } from "./loops/encryption.js";
import { EventLog } from "./loops/events.js";
import { Findings } from "./loops/findings.js";
import { GuardWatch, guardNames } from "./loops/guard-watch.js";
import { HeldAssignments } from "./loops/held-assignments.js";
import { Inquiries } from "./loops/inquiries.js";
import { Member } from "./loops/member.js";
import { MembershipLoop } from "./loops/membership.js";
import { MeshPorts } from "./loops/mesh-ports.js";
import { NodeRuntime } from "./loops/node-runtime.js";
import { OffloadWatch } from "./loops/offload-watch.js";
import { OwnAddress } from "./loops/own-address.js";
import { PathMtu } from "./loops/path-mtu.js";
import { Peers, peerViews } from "./loops/peers.js";
import { Places } from "./loops/places.js";
import { runProbe } from "./loops/probe.js";
import { Resolver } from "./loops/resolver.js";
import { followSwarmEvents } from "./loops/swarm-events.js";
import { TaskLogs } from "./loops/task-logs.js";
import { TaskLoop, type TaskSource } from "./loops/tasks.js";
import { lookAtNames, returnOrphans, tellTenants } from "./loops/upkeep.js";
import { inUse, noted } from "./member/data-path-notes.js";
import { describeNode, platformOf } from "./member/node-description.js";
import type { Powers } from "./powers.js";
import type { Kernel } from "./reconcile/kernel.js";
import type { AgentNode, DataPathCounters } from "./seams.js";

// Choice: twice as many as there are, so that one too many is heard of.
const LOOPS_MAX = 24;

export interface RunningAgent {
  readonly node: Omit<AgentNode, "metrics">;
  readonly membership: MembershipLoop;
  /** For metrics. */
  readonly measured: Measured;
  /** Takes the agent away and leaves sandboxes, processes and the kernel's state as they are. */
  close(): Promise<void>;
}

export async function startAgent(powers: Powers): Promise<RunningAgent> {
  const { clock, timing, log, applier, kernel, manager } = powers;
  const closing = new Closing(log);
  const stop = new AbortController();
  // Each loop waits on it.
  setMaxListeners(LOOPS_MAX, stop.signal);
  const events = new EventLog();
  const findings = new Findings(clock);
  const guard = new GuardWatch(
    kernel,
    guardNames(() => membership.member?.held.current),
    findings,
    powers.hostname,
    clock,
    log,
  );
  const guardCounters: DataPathCounters = {
    source: guard.source,
    read: () => {
      guard.look();
      return guard.read();
    },
  };
  const counts = new DataPathCountsOfNode(clock);
  counts.add(deviceCounts(powers.watcher, () => membership.member?.held.current.networks ?? []));
  counts.add(guardCounters);
  for (const each of powers.counters ?? []) counts.add(each);
  const meshPorts = new MeshPorts(powers.ports, clock, timing, log);
  const encryption = new Encryption({
    ...powers,
    disk: powers.wireguardKeyDisk,
    port: powers.wireguardPort,
    findings,
  });
  const places = new Places(
    applier,
    kernel,
    powers.runDir,
    clock,
    timing,
    () => inUse(powers.dataPath, offloads.isMending).path,
    meshPorts,
    () => encryption.self(),
  );
  closing.push("published ports", async () => meshPorts.close());
  closing.push("kernel", () => kernel.close());
  closing.push("applier", () => applier.close());
  closing.push("path prober", async () => powers.pathProber.close());
  closing.push("manager", powers.endManager);

  const names = new Resolver({ ...powers, door: powers.names, places });
  closing.push("names", async () => names.close());
  const local = { placing: places, local: places, names };
  const tenants = powers.makeTenants({ endpoints: places, ...local, events });
  names.setLocalNetworks(tenants.localNets);
  const tasks = new TaskLoop({ ...tenants, events, clock, timing, log });
  const taskLogs = new TaskLogs({ containers: tenants.containers, tasks, log });
  const runtime = new NodeRuntime(() => powers.containerd() !== undefined, clock, log);
  const pathMtu = new PathMtu({
    ...powers,
    prober: powers.pathProber,
    findings,
    member: () => membership.member,
    setPaths: (paths) => places.setPaths(paths),
    remeasured: () => membership.member?.describeAgain(),
    follow: (listener) => followBoth(places.changed, kernel, listener),
  });
  const inquiries = new Inquiries(
    answers({
      ...powers,
      member: () => membership.member,
      counters: () => [guardCounters, ...(powers.counters ?? [])],
      placeOf: (id) => places.placeOf(id),
      netnsOf: (id) => places.netnsOf(id),
      problem: (subject) => applier.problems().get(subject),
    }),
    log,
  );
  const told = new Signal();
  let untold = () => {};
  const membership = new MembershipLoop({
    ...powers,
    makeMember: async (record, identity) => {
      await encryption.enter(record);
      const heard = await powers.journal.load();
      const held = new HeldAssignments(heard, record.nodeId, powers.journal, clock, timing, log);
      return new Member(record, identity, held, {
        ...powers,
        describe: () => ({
          ...describeNode(powers, record.dataPathAddr, runtime.plugins, encryption.describe()),
          pathMtus: { bytes: pathMtu.measured },
        }),
        tasks: { reports: tasks.reports, logs: taskLogs },
        inquiries,
        reached: (signal) => places.reached(signal),
        onCheck: ({ networkId }) => checkup.check(networkId),
        onProbe(member, probe, report, signal) {
          const netnsOf = (id: string) => places.netnsOf(id);
          const { nodeId } = member.record;
          const assignments = member.held.current;
          const context = { nodeId, assignments, netnsOf, pinger: powers.pinger, clock, log };
          runProbe(probe, context, report, signal).catch((error: unknown) => {
            log.warn({ err: messageOf(error) }, "probe failed");
          });
        },
      });
    },
    async onMember(member) {
      untold();
      if (member !== undefined) powers.neighbours.makeRoom();
      places.setMember(member);
      untold = member?.held.changed.subscribe(() => told.notify()) ?? (() => {});
      if (member !== undefined) {
        await tenants.swarmEntered();
        return tasks.setSource(taskSource(member, powers));
      }
      await tasks.leave();
      await tenants.networksGone();
    },
  });
  const dataPath = () =>
    noted(
      inUse(powers.dataPath, offloads.isMending),
      membership.member?.record.dataPathAddr,
      guard.notes(),
    );
  const checkup = new Checkup({
    ...powers,
    dataPath,
    findings,
    takenPorts: () => meshPorts.problems(),
    flows: () => powers.flows.warnings(),
    swarm: () => membership.status(),
    held: () => membership.member?.held,
  });
  const offloads = new OffloadWatch({
    ...powers,
    door: powers.offloads,
    onOff: () => places.abilityChanged(),
    findings,
    view: peerViews(powers.hostname, () => membership.member),
    vnis: () => (membership.member?.held.current.networks ?? []).map(({ vni }) => vni),
  });
  const peers = new Peers({
    ...powers,
    probers: powers.peerProbers,
    findings,
    view: peerViews(powers.hostname, () => membership.member),
  });
  closing.push("membership", () => membership.close());
  closing.push("tenants", () => tenants.close());
  closing.push("inquiries", async () => inquiries.close());
  closing.push("task logs", () => taskLogs.close());
  closing.push("tasks", () => tasks.close());
  closing.push("loops", () => stop.abort());

  const ownAddress = new OwnAddress({
    ...powers,
    findings,
    follow: (listener) => kernel.follow(listener),
    member: () => membership.member,
    moved: () => places.moved(),
  });

  try {
    await tenants.check();
    // The journal first: what is declared meanwhile finds its networks, with or without a manager.
    await membership.resume();
    await tenants.restore();
    places.restored();
    tasks.start();
  } catch (error) {
    await closing.closeAll();
    throw error;
  }
  const loops = Promise.all([
    followSwarmEvents(manager, events, clock, timing, stop.signal),
    runtime.follow(() => membership.member?.describeAgain(), stop.signal),
    pathMtu.run(stop.signal),
    offloads.run(stop.signal),
    encryption.follow(
      () => membership.member,
      () => {
        membership.member?.describeAgain();
        places.abilityChanged();
      },
      stop.signal,
    ),
    tellTenants(membership, tenants, told, stop.signal),
    returnOrphans(membership, places, powers, stop.signal),
    lookAtNames(names, powers, stop.signal),
    ownAddress.run(stop.signal),
    powers.flows.follow(timing, stop.signal),
    checkup.follow(stop.signal),
    guard.follow(timing, stop.signal),
    peers.follow(stop.signal),
  ]);
  closing.push("wait for loops", async () => {
    stop.abort();
    await loops;
  });
  return {
    membership,
    measured: {
      counts: () => counts.read(),
      peers: () => peers.stats(),
      findings: () => checkup.list(),
      networks: () => membership.member?.held.current.networks ?? [],
      applied: applier.counts,
      dataPath,
    },
    close: () => closing.closeAll(),
    node: {
      membership,
      containers: tenants.containers,
      attachments: tenants.attachments,
      images: tenants.images,
      volumes: tenants.volumes,
      localNets: tenants.localNets,
      events,
      localNetworks() {
        const { member } = membership;
        return member === undefined ? [] : localNetworks(member.held.current, member.record.nodeId);
      },
      findings: () => checkup.list(),
      warnings: () => [...applier.troubles(), ...meshPorts.problems(), ...powers.flows.warnings()],
      inquire: (inquiry, signal) => inquiries.parts(inquiry, signal),
      host: () => ({
        ...powers.facts,
        ...pick(powers),
        dataPath: dataPath(),
        containerd: powers.containerd(),
        cgroupVersion: powers.cgroupVersion,
      }),
    },
  };
}

function pick({ hostname, stateDir, agentId, labels, genericResources }: Powers) {
  return { hostname, stateDir, agentId, labels, genericResources };
}

function taskSource(member: Member, powers: Powers): TaskSource {
  const { record, held, link } = member;
  const { architecture, os } = platformOf(powers.facts);
  const node = { id: record.nodeId, hostname: powers.hostname, architecture, os };
  const settle = (revision: number, timeoutMs: number) => link.settle(revision, timeoutMs);
  const drain = new Drain(held, settle, () => member.session.kind === "open", powers.clock);
  return { held, node, drain };
}

function followBoth(peers: Topic<void>, kernel: Kernel, listener: () => void): Unsubscribe {
  const ends = [peers.subscribe(listener), kernel.follow(listener)];
  return () => {
    for (const end of ends) end();
  };
}
