import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { merge } from "../../agent/assignments/merge.js";
import { Assignments, IngressMode } from "../../proto/gen/dispatcher.js";
import {
  EndpointMode,
  type Service,
  ServiceSpec,
  type Task,
  TaskState,
  TaskStatus,
} from "../../proto/gen/service.js";
import { NodeDescription } from "../../proto/gen/types.js";
import {
  changeService,
  makeConfig,
  makeSecret,
  makeService,
  makeTask,
  serviceSpec,
} from "../../test/fakes/services.js";
import { FIRST_NODE, SwarmState } from "../../test/fakes/swarm-state.js";
import { removeNode } from "../control/node.js";
import { allowPolicy, removePolicy } from "../control/policy.js";
import { removeService } from "../control/service.js";
import { recordNodeSession } from "../control/session.js";
import { recordReports } from "../control/task-status.js";
import { assignTask } from "../scheduler/assign.js";
import { Store } from "../store/store.js";
import type { StoreChange, StoreView } from "../store/view.js";
import { affectedNodes } from "./affected.js";
import { assignmentsFor, isEmptyDelta } from "./assignments.js";
import { SharedDeltas } from "./shared-deltas.js";
import { isToRun } from "./task-view.js";

function lab() {
  const swarm = new SwarmState();
  for (const name of ["n1", "n2", "n3"]) swarm.node(name);
  for (const name of ["a", "b"]) swarm.network({ name });
  return swarm;
}

const shape = (message: Assignments) => ({
  full: message.full,
  networks: message.networks.map((network) => network.spec?.name ?? ""),
  endpoints: message.endpoints.map(({ ipv4 }) => ipv4),
  peers: message.peers.map(({ nodeId }) => nodeId).sort(),
  removed: message.removedEndpoints.length,
  removedNetworks: message.removedNetworks.length,
});

describe("a node is told", () => {
  test("nothing of networks that it is not on", () => {
    const swarm = lab();
    swarm.attach("a", { node: "n1" });
    expect(shape(assignmentsFor(swarm.view, "n2", 0))).toEqual({
      full: true,
      networks: [],
      endpoints: [],
      peers: [],
      removed: 0,
      removedNetworks: 0,
    });
  });

  test("all rows of a network that it comes to, and one row of one that it is on", () => {
    const swarm = lab();
    swarm.attach("a", { node: "n1" });
    swarm.attach("b", { node: "n2" });
    const held = swarm.store.revision;
    swarm.attach("a", { node: "n2" });
    expect(shape(assignmentsFor(swarm.view, "n2", held))).toEqual({
      full: false,
      networks: ["a"],
      endpoints: ["10.0.1.2/24", "10.0.1.3/24"],
      peers: ["n1"],
      removed: 0,
      removedNetworks: 0,
    });
    expect(shape(assignmentsFor(swarm.view, "n1", held))).toEqual({
      full: false,
      networks: [],
      endpoints: ["10.0.1.3/24"],
      peers: ["n2"],
      removed: 0,
      removedNetworks: 0,
    });
  });

  test("to forget a network that it left", () => {
    const swarm = lab();
    const own = swarm.attach("a", { node: "n1" });
    const held = swarm.store.revision;
    swarm.detach(own);
    const delta = assignmentsFor(swarm.view, "n1", held);
    expect(delta.removedNetworks).toEqual([own.networkId]);
    expect(delta.removedEndpoints).toEqual([own.id]);
  });

  test("of a peer that is down or has no address", () => {
    const swarm = lab();
    swarm.attach("a", { node: "n1" });
    swarm.attach("a", { node: "n2" });
    swarm.must((draft) => {
      const node = draft.node("n2");
      if (node) draft.update("node", { ...node, dataPathAddr: "", state: 1 });
      return true;
    });
    const [peer] = assignmentsFor(swarm.view, "n1", 0).peers;
    expect([peer?.nodeId, peer?.dataPathAddr, peer?.hostname]).toEqual(["n2", "", "n2"]);
  });

  test("where a peer has moved to", () => {
    const swarm = lab();
    swarm.attach("a", { node: "n1" });
    swarm.attach("a", { node: "n2" });
    const held = swarm.store.revision;
    const moved = { nodeId: "n2", description: undefined, addr: "", dataPathAddr: "192.168.35.9" };
    swarm.must((draft) => recordNodeSession(draft, moved));
    const delta = assignmentsFor(swarm.view, "n1", held);
    expect(delta.peers.map((peer) => peer.dataPathAddr)).toEqual(["192.168.35.9"]);
    expect(delta.endpoints).toEqual([]);
  });

  test("that another node's WireGuard key is a new one, and who is concerned by that", () => {
    const swarm = lab();
    swarm.attach("a", { node: "n1" });
    swarm.attach("a", { node: "n2" });
    swarm.attach("b", { node: "n3" });
    const concerned: unknown[] = [];
    swarm.store.changes.subscribe((change: StoreChange) => {
      concerned.push(affectedNodes(change, swarm.view).assignments);
    });
    for (const fill of [1, 2, 2]) {
      const held = swarm.store.revision;
      const wireguard = { publicKey: Buffer.alloc(32, fill), port: 4788, kind: "kernel" };
      const description = NodeDescription.fromPartial({ hostname: "n2", wireguard });
      const session = { nodeId: "n2", description, addr: "", dataPathAddr: "" };
      swarm.must((draft) => recordNodeSession(draft, session));
      const [peer] = assignmentsFor(swarm.view, "n1", held).peers;
      if (swarm.store.revision === held) continue;
      expect([peer?.wireguardKey?.[0], peer?.wireguardPort]).toEqual([fill, 4788]);
    }
    expect(concerned).toEqual([new Set(["n1", "n2"]), new Set(["n1", "n2"])]);
  });

  test("that another node's paths are smaller than its interface, of networks that both are on", () => {
    const swarm = lab();
    swarm.attach("a", { node: "n1" });
    swarm.attach("a", { node: "n2" });
    swarm.attach("b", { node: "n3" });
    const concerned: unknown[] = [];
    swarm.store.changes.subscribe((change: StoreChange) => {
      concerned.push(affectedNodes(change, swarm.view).assignments);
    });
    const described = (bytes: Record<string, number>) =>
      NodeDescription.fromPartial({ hostname: "n2", pathMtus: { bytes } });
    const say = (bytes: Record<string, number>) => {
      const session = { nodeId: "n2", description: described(bytes), addr: "", dataPathAddr: "" };
      swarm.must((draft) => recordNodeSession(draft, session));
    };
    say({ a: 1400 });
    const held = swarm.store.revision;
    say({ a: 1400 });
    expect(swarm.store.revision).toBe(held);
    expect(assignmentsFor(swarm.view, "n1", 0).peers[0]?.pathMtus?.bytes).toEqual({ a: 1400 });
    say({});
    expect(assignmentsFor(swarm.view, "n1", held).peers[0]?.pathMtus?.bytes).toEqual({});
    expect(concerned).toEqual([new Set(["n1", "n2"]), new Set(["n1", "n2"])]);
  });

  test("everything again when it is ahead of the log or the memory does not reach back", () => {
    const swarm = lab();
    swarm.attach("a", { node: "n1" });
    const { revision } = swarm.store;
    expect(assignmentsFor(swarm.view, "n1", revision + 5).full).toBe(true);
    const restored = new Store();
    restored.restore(swarm.store.snapshot());
    expect(assignmentsFor(restored.view, "n1", revision - 1).full).toBe(true);
    expect(isEmptyDelta(assignmentsFor(restored.view, "n1", revision))).toBe(true);
  });
});

/** Keeps what it is told as an agent does, by the agent's own function. */
class FakeAgent {
  held: Assignments | undefined;
  readonly secrets = new Set<string>();

  constructor(readonly nodeId: string) {}

  get revision(): number {
    return this.held?.revision ?? 0;
  }

  get tasks(): readonly Task[] {
    return this.held?.tasks ?? [];
  }

  take(message: Assignments): void {
    for (const { id } of message.secrets) this.secrets.add(id);
    this.held = merge(this.held, message, this.nodeId);
  }

  /** A new process: what it was told is in its journal, but no secret. */
  restart(): void {
    this.secrets.clear();
  }

  /** All that makes a difference to the data path and to tasks. */
  state(view: StoreView) {
    const { held } = this;
    const ingress = held?.networks.some(({ spec }) => spec?.ingress);
    const shared =
      ingress &&
      [...view.services()].some(({ virtualIps, ports }) => {
        return virtualIps.length > 0 && ports.some(({ publishMode }) => publishMode === 0);
      });
    const near = new Set(held?.endpoints.map(({ nodeId }) => nodeId));
    // A service's version counts all its changes; nodes hear of those that are in its row.
    const services = held?.services.map((row) => ({ ...row, version: 0 }));
    return {
      networks: held?.networks,
      endpoints: held?.endpoints,
      peers: held?.peers.filter(({ nodeId }) => shared || near.has(nodeId)),
      services,
      policies: held?.policies,
      tasks: this.tasks.map((task) => `${task.id} ${task.desiredState} ${task.notBeforeMs}`),
    };
  }
}

/** Of the tasks that it may have to start, those whose secret it lacks. */
function lacking(agent: FakeAgent, view: StoreView): readonly string[] {
  return agent.tasks
    .map(({ id }) => id)
    .filter((id) => {
      const task = view.task(id);
      const secrets = task?.spec?.container?.secrets ?? [];
      const isWanted = task !== undefined && isToRun(task);
      return isWanted && secrets.some(({ secretId }) => !agent.secrets.has(secretId));
    });
}

const NODES = [FIRST_NODE, "n1", "n2", "n3"];
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("attach" as const), node: fc.nat(3), pick: fc.nat(2) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("detach" as const), node: fc.nat(3), pick: fc.nat() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("move" as const), node: fc.nat(3), pick: fc.nat(3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("label" as const), node: fc.nat(3), pick: fc.nat(2) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("remove" as const),
      node: fc.constant(3),
      pick: fc.nat(2),
    }),
  },
  // Of tasks: made or assigned, asked to end, reported, forgotten.
  ...(["task", "desire", "report", "forget"] as const).map((name) => ({
    weight: 3,
    arbitrary: fc.record({ do: fc.constant(name), node: fc.nat(3), pick: fc.nat() }),
  })),
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("restart" as const), node: fc.nat(3), pick: fc.nat() }),
  },
  // Of services: made, changed, removed, their tasks placed; of nodes: silent or heard; policies.
  ...(["publish", "change", "unpublish", "place", "silent", "policy"] as const).map((name) => ({
    weight: 3,
    arbitrary: fc.record({ do: fc.constant(name), node: fc.nat(3), pick: fc.nat() }),
  })),
  // A session: the node hears what it missed. "failover" is the same from a manager that was restored.
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("hear" as const), node: fc.nat(3), pick: fc.nat() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("failover" as const), node: fc.nat(3), pick: fc.nat() }),
  },
);

test("deltas heard at any points lead to what a full message says, are what all others share, and no affected node is missed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
      const swarm = lab();
      swarm.network({ name: "c" });
      swarm.network({ name: "deny", driverOpts: { "skein.policy": "deny" } });
      const secretId = makeSecret(swarm, "pass");
      const secrets = [{ secretId, secretName: "pass", file: { name: "pass" } }];
      const service = makeService(swarm, serviceSpec({}, { secrets }));
      const agents = NODES.map((id) => new FakeAgent(id));
      // Nodes that would be sent nothing: they must hold what a full message would say.
      const due = new Set<string>(NODES);
      const shared = new SharedDeltas();
      let removed = false;
      swarm.store.changes.subscribe((change: StoreChange) => {
        const { assignments } = affectedNodes(change, swarm.view);
        for (const id of assignments === "all" ? NODES : assignments) due.add(id);
      });
      for (const each of steps) {
        const nodeId = NODES[each.node] ?? "";
        const agent = agents[each.node];
        const network = ["a", "b", "c"][each.pick] ?? "a";
        const isThere = swarm.view.node(nodeId) !== undefined;
        if (each.do === "attach" && isThere) swarm.attach(network, { node: nodeId });
        else if (each.do === "detach") {
          const own = [...swarm.view.endpointsOf(nodeId)];
          const endpoint = own[each.pick % Math.max(own.length, 1)];
          if (endpoint) swarm.detach(endpoint);
        } else if (each.do === "move" && isThere) {
          const dataPathAddr = `192.168.35.${each.pick}`;
          swarm.must((draft) =>
            recordNodeSession(draft, { nodeId, description: undefined, addr: "", dataPathAddr }),
          );
        } else if (each.do === "label") {
          swarm.must((draft) => {
            const row = draft.networkByName(network);
            if (row?.spec)
              draft.update("network", { ...row, spec: { ...row.spec, labels: { x: "y" } } });
            return true;
          });
        } else if (each.do === "remove" && !removed) {
          removed = true;
          swarm.write((draft) => removeNode(draft, { id: nodeId, force: true }, swarm.context));
        } else if (each.do === "hear") {
          const since = agent?.revision ?? 0;
          for (const other of [nodeId, NODES[each.pick % NODES.length] ?? ""]) {
            const own = bytesOf(assignmentsFor(swarm.view, other, since));
            expect(bytesOf(shared.for(swarm.view, other, since)).equals(own)).toBe(true);
          }
          agent?.take(assignmentsFor(swarm.view, nodeId, agent.revision));
          due.delete(nodeId);
        } else if (each.do === "restart") {
          agent?.restart();
          agent?.take(assignmentsFor(swarm.view, nodeId, agent.revision, true));
          due.delete(nodeId);
        } else if (each.do === "task" && isThere) {
          const waiting = [...swarm.view.tasks()].find((task) => task.nodeId === "");
          const state = each.pick % 3 === 0 ? TaskState.PENDING : TaskState.ASSIGNED;
          const place = { nodeId: state === TaskState.PENDING ? "" : nodeId };
          const status = TaskStatus.fromPartial({ state });
          if (waiting === undefined) makeTask(swarm, service, { ...place, status });
          else swarm.must((draft) => draft.update("task", { ...waiting, ...place, status }));
        } else if (["desire", "report", "forget"].includes(each.do)) {
          const tasks = [...swarm.view.tasksOn(nodeId)];
          const task = tasks[each.pick % Math.max(tasks.length, 1)];
          if (task !== undefined) act(swarm, task, each.do as "desire");
        } else if (each.do === "failover") {
          const other = new Store();
          other.restore(swarm.store.snapshot());
          agent?.take(assignmentsFor(other.view, nodeId, agent.revision));
          due.delete(nodeId);
        }
        reach(swarm, each);
        for (const held of agents) {
          if (due.has(held.nodeId)) continue;
          expect(lacking(held, swarm.view)).toEqual([]);
          const fresh = new FakeAgent(held.nodeId);
          fresh.take(assignmentsFor(swarm.view, held.nodeId, 0));
          expect(held.state(swarm.view)).toEqual(fresh.state(swarm.view));
        }
      }
    }),
    { numRuns: 200 },
  );
});

const bytesOf = (assignments: Assignments) => Buffer.from(Assignments.encode(assignments).finish());

const SERVICES = ["s0", "s1", "s2"];

/** Services with VIPs, dnsrr and ingress ports; their tasks, with endpoints; policies; silence. */
function reach(swarm: SwarmState, each: { do: string; node: number; pick: number }): void {
  const { pick } = each;
  const nodeId = NODES[each.node] ?? "";
  const name = SERVICES[pick % SERVICES.length] ?? "";
  const service = swarm.view.serviceByName(name);
  const net = (at: number) => swarm.view.networkByName(["a", "deny", "deny"][at % 3] ?? "");
  const spec = () => {
    const published = pick % 4 === 0;
    const mode = !published && pick % 5 === 0 ? EndpointMode.DNSRR : EndpointMode.VIP;
    const ports = published ? [{ targetPort: 80 + (pick % 2), publishMode: 0 }] : [];
    const networks = pick % 7 === 0 ? [] : [{ target: net(pick >> 2)?.id ?? "" }];
    const labels = { "skein.affinity": "client" };
    return serviceSpec({
      ...{ name, task: { networks }, endpoint: { mode, ports } },
      labels: pick % 3 === 0 ? labels : {},
    });
  };
  if (each.do === "publish" && service === undefined) makeService(swarm, spec());
  if (service === undefined) return;
  if (each.do === "change") {
    const labels = { "skein.ingress": ["local", "snat"][pick % 2] ?? "" };
    const row = { ...service.spec, labels };
    const unseen = { ...service.spec, update: { parallelism: pick % 9 } };
    const full = ServiceSpec.fromPartial(([spec(), row, unseen][pick % 3] ?? row) as object);
    changeService(swarm, service.id, full);
  } else if (each.do === "unpublish") {
    swarm.write((draft) => removeService(draft, { id: service.id }, swarm.context));
  } else if (each.do === "place" && swarm.view.node(nodeId) !== undefined) {
    const task = makeTask(swarm, service, { status: { state: TaskState.PENDING } });
    swarm.write((draft) =>
      assignTask(draft, service, task, { nodeId, generic: [] }, swarm.context),
    );
  } else if (each.do === "silent") {
    swarm.must((draft) => {
      const node = draft.node(nodeId);
      if (node) draft.update("node", { ...node, silent: !node.silent });
      return true;
    });
  } else if (each.do === "policy") {
    const known = [...swarm.view.policies()];
    const old = known[pick % Math.max(1, known.length)];
    const from = pick % 2 === 0 ? "" : (SERVICES[each.node] ?? "");
    const asked = { to: name, from, network: "", ports: [{ protocol: 1, port: 1 + (pick % 9) }] };
    swarm.write((draft) =>
      old && pick % 3 === 0
        ? removePolicy(draft, { id: old.id })
        : allowPolicy(draft, asked, swarm.context),
    );
  }
}

function act(swarm: SwarmState, task: Task, what: "desire" | "report" | "forget"): void {
  const began = (task.status?.state ?? TaskState.NEW) >= TaskState.RUNNING;
  const state = began ? TaskState.FAILED : TaskState.RUNNING;
  const reports = [{ taskId: task.id, status: TaskStatus.fromPartial({ state }) }];
  swarm.must((draft) => {
    if (what === "forget") draft.remove("task", task.id);
    else if (what === "report") recordReports(draft, task.nodeId, reports, 1);
    else draft.update("task", { ...task, desiredState: TaskState.SHUTDOWN });
    return true;
  });
}

describe("a node is told how services are reached", () => {
  const published = { ports: [{ targetPort: 80, publishedPort: 8080 }] };
  const place = (swarm: SwarmState, service: Service, nodeId: string) => {
    const task = makeTask(swarm, service, { status: { state: TaskState.PENDING } });
    swarm.must(
      (draft) => assignTask(draft, service, task, { nodeId, generic: [] }, swarm.context) ?? true,
    );
  };
  const remove = (swarm: SwarmState, { id }: Service) =>
    swarm.must((draft) => removeService(draft, { id }, swarm.context) ?? true);
  const on = (swarm: SwarmState, name: string) => ({
    task: { networks: [{ target: swarm.view.networkByName(name)?.id ?? "" }] },
  });
  const last = (swarm: SwarmState) => {
    const heard: StoreChange[] = [];
    swarm.store.changes.subscribe((change) => void heard.push(change));
    return () => affectedNodes(heard.at(-1) as StoreChange, swarm.view).assignments;
  };

  test("with the first published port all of ingress, everywhere; with the last nothing of it", () => {
    const swarm = lab();
    const affected = last(swarm);
    const held = swarm.store.revision;
    const service = makeService(swarm, serviceSpec({ endpoint: published }));
    expect(affected()).toBe("all");
    const first = assignmentsFor(swarm.view, "n2", held);
    expect(shape(first)).toMatchObject({ networks: ["ingress"], peers: ["n1", "n3", FIRST_NODE] });
    expect(first.services).toMatchObject([{ name: "web", ports: [{ publishedPort: 8080 }] }]);
    place(swarm, service, "n1");
    const second = swarm.store.revision;
    expect(assignmentsFor(swarm.view, "n2", held).endpoints).toHaveLength(2);
    remove(swarm, service);
    expect(affected()).toBe("all");
    const ingress = swarm.view.ingressNetwork()?.id;
    expect(assignmentsFor(swarm.view, "n2", second).removedNetworks).toEqual([ingress]);
    // Its task there still ends.
    expect(assignmentsFor(swarm.view, "n1", second)).toMatchObject({
      removedNetworks: [],
      removedServices: [service.id],
      endpoints: [],
    });
    const third = swarm.store.revision;
    makeService(swarm, serviceSpec({ name: "next", endpoint: published }));
    const peers = shape(assignmentsFor(swarm.view, "n1", third)).peers;
    expect(peers).toEqual(["n2", "n3", FIRST_NODE]);
  });

  test("what a label says, and not how many replicas there are", () => {
    const swarm = lab();
    const spec = serviceSpec(on(swarm, "a"));
    const service = makeService(swarm, spec);
    place(swarm, service, "n1");
    const held = swarm.store.revision;
    const affected = last(swarm);
    const replicas = { $case: "replicated" as const, value: { replicas: 7 } };
    changeService(swarm, service.id, { ...spec, mode: replicas });
    expect(affected()).toEqual(new Set());
    const labels = { "skein.ingress": "local", "skein.affinity": "client" };
    changeService(swarm, service.id, { ...spec, labels });
    expect(affected()).toEqual(new Set(["n1"]));
    const { services } = assignmentsFor(swarm.view, "n1", held);
    expect(services).toMatchObject([{ ingress: IngressMode.LOCAL, affinity: true }]);
    expect(assignmentsFor(swarm.view, "n2", held).services).toEqual([]);
  });

  test("which policies there are, and which no longer", () => {
    const swarm = lab();
    swarm.network({ name: "deny", driverOpts: { "skein.policy": "deny" } });
    const service = makeService(swarm, serviceSpec(on(swarm, "deny")));
    place(swarm, service, "n1");
    const held = swarm.store.revision;
    const affected = last(swarm);
    const asked = { from: "", to: "web", network: "", ports: [] };
    const { id } = swarm.must((draft) => allowPolicy(draft, asked, swarm.context));
    expect(affected()).toEqual(new Set(["n1"]));
    expect(assignmentsFor(swarm.view, "n1", held).policies.map((row) => row.id)).toEqual([id]);
    swarm.must((draft) => removePolicy(draft, { id }) ?? true);
    expect(affected()).toEqual(new Set(["n1"]));
    expect(assignmentsFor(swarm.view, "n1", held).removedPolicies).toEqual([id]);
    expect(isEmptyDelta(assignmentsFor(swarm.view, "n2", held))).toBe(true);
  });

  test("that a task serves, without its node and service again", () => {
    const swarm = lab();
    const service = makeService(swarm, serviceSpec(on(swarm, "a")));
    place(swarm, service, "n1");
    place(swarm, service, "n2");
    const held = swarm.store.revision;
    const [task] = swarm.view.tasksOn("n2");
    if (task !== undefined) act(swarm, task, "report");
    const delta = assignmentsFor(swarm.view, "n1", held);
    expect(delta.endpoints.map(({ serving, serviceId }) => [serving, serviceId])).toEqual([
      [true, service.id],
    ]);
    expect([delta.peers, delta.services]).toEqual([[], []]);
  });
});

describe("a node is told of its tasks", () => {
  test("with their credentials, secrets and configs, and of no others", () => {
    const swarm = lab();
    const spec = serviceSpec(
      {},
      {
        registryAuth: "token",
        secrets: [{ secretId: makeSecret(swarm, "s"), secretName: "s", file: { name: "s" } }],
        configs: [{ configId: makeConfig(swarm, "c"), configName: "c", file: { name: "c" } }],
      },
    );
    const service = makeService(swarm, spec);
    const assigned = { status: { state: TaskState.ASSIGNED } };
    makeTask(swarm, service, { nodeId: "n1", ...assigned });
    makeTask(swarm, service, { nodeId: "n2" });
    const [one, two] = ["n1", "n2"].map((id) => assignmentsFor(swarm.view, id, 0));
    expect(one?.tasks[0]?.spec?.container?.registryAuth).toBe("token");
    expect(one?.secrets.map((each) => each.spec?.data.toString())).toEqual(["s3cret"]);
    expect(one?.configs.map((each) => each.spec?.data.toString())).toEqual(["listen=80"]);
    expect([two?.tasks, two?.secrets, two?.configs]).toEqual([[], [], []]);
  });

  test("not of what it reported itself, and without files of what is to end", () => {
    const swarm = lab();
    const secrets = [{ secretId: makeSecret(swarm, "s"), secretName: "s", file: { name: "s" } }];
    const service = makeService(swarm, serviceSpec({}, { secrets }));
    const status = { state: TaskState.ASSIGNED };
    const task = makeTask(swarm, service, { nodeId: "n1", status });
    const held = swarm.store.revision;
    const heard: StoreChange[] = [];
    swarm.store.changes.subscribe((change) => void heard.push(change));
    act(swarm, task, "report");
    expect(affectedNodes(heard[0] as StoreChange, swarm.view).assignments).toEqual(new Set());
    expect(isEmptyDelta(assignmentsFor(swarm.view, "n1", held))).toBe(true);
    act(swarm, swarm.view.task(task.id) ?? task, "desire");
    const delta = assignmentsFor(swarm.view, "n1", held, true);
    expect(delta.tasks.map((each) => each.desiredState)).toEqual([TaskState.SHUTDOWN]);
    expect(delta.secrets).toEqual([]);
  });
});
