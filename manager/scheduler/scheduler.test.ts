import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { refuse } from "../../common/fault.js";
import { type Task, TaskState } from "../../proto/gen/service.js";
import { Availability, EndpointKind } from "../../proto/gen/types.js";
import { OrchestratedSwarm, type SpecParts } from "../../test/fakes/orchestrated-swarm.js";
import { applyPlan } from "../orchestrator/apply.js";
import { planService } from "../orchestrator/plan.js";
import { Heap } from "./heap.js";
import { Scheduler } from "./scheduler.js";

const replicas = (count: number) => ({
  mode: { $case: "replicated" as const, value: { replicas: count } },
});

function service(swarm: OrchestratedSwarm, spec: object): readonly Task[] {
  const full = { name: "web", ...replicas(1), ...spec } as SpecParts;
  const { id } = swarm.create(full);
  swarm.advance(1_000);
  return swarm.tasks(id);
}

test("tasks whose placing came to nothing are behind those of others", () => {
  const swarm = new OrchestratedSwarm();
  for (const name of ["web", "db"]) {
    swarm.create({ name, ...replicas(3), task: { container: { image: "good" } } });
  }
  // Planned, and not yet placed.
  for (const name of ["web", "db"]) {
    const { id } = swarm.service(name);
    swarm.state.must((draft) => {
      const plan = planService(draft, id, swarm.state.context);
      return applyPlan(draft, id, plan, swarm.state.context) ?? true;
    });
  }
  const scheduler = new Scheduler(swarm.view);
  const placed = () => {
    const names: string[] = [];
    swarm.state.write((draft) => {
      scheduler.run(draft, swarm.state.context, 1);
      for (const task of draft.tasks()) {
        if (task.status?.state === TaskState.ASSIGNED) names.push(task.serviceName);
      }
      return refuse("failed-precondition", "no");
    });
    scheduler.settle(swarm.view);
    return names.join();
  };
  expect([placed(), placed(), placed()]).toEqual(["web", "db", "web"]);
});

const whereOf = (tasks: readonly Task[]) => tasks.map(({ nodeId }) => nodeId).sort();
const image = { container: { image: "good" } };
const reserve = (reservations: object) => ({ task: { ...image, resources: { reservations } } });
const place = (placement: object) => ({ task: { ...image, placement } });

describe("a task that fits nowhere says why", () => {
  // Three nodes of 4 CPUs and 8 GB; the first manager is drained.
  type Plugins = readonly { type: string; name: string }[];
  const cases: readonly { name: string; spec: object; plugins?: Plugins; want: string }[] = [
    {
      name: "constraints",
      spec: place({ constraints: ["node.labels.zone==mars"] }),
      want: "scheduling constraints not satisfied on 3 nodes; 1 node not available for new tasks",
    },
    {
      name: "memory",
      spec: reserve({ memoryBytes: 9e9 }),
      want: "insufficient memory on 3 nodes; 1 node not available for new tasks",
    },
    {
      name: "CPU",
      spec: reserve({ nanoCpus: 5e9 }),
      want: "insufficient CPU on 3 nodes; 1 node not available for new tasks",
    },
    {
      name: "something that no node offers",
      spec: reserve({ generic: [{ kind: "gpu", value: 1 }] }),
      want: "insufficient gpu on 3 nodes; 1 node not available for new tasks",
    },
    {
      name: "another platform",
      spec: place({ platforms: [{ architecture: "aarch64", os: "linux" }] }),
      want: "unsupported platform on 3 nodes; 1 node not available for new tasks",
    },
    {
      name: "a node without containerd",
      spec: { task: { ...image, placement: { constraints: ["node.hostname!=h3"] } } },
      plugins: [{ type: "Runtime", name: "process" }],
      want: "no containerd on 2 nodes; scheduling constraints not satisfied on 1 node; 1 node not available for new tasks",
    },
    {
      name: "a volume driver",
      spec: {
        task: {
          container: {
            image: "good",
            mounts: [{ type: "volume", target: "/data", driverName: "nfs" }],
          },
        },
      },
      want: "missing plugin on 3 nodes; 1 node not available for new tasks",
    },
  ];
  for (const { name, spec, want, plugins: more = [] } of cases) {
    test(name, () => {
      const swarm = new OrchestratedSwarm(0);
      const plugins = [{ type: "Volume", name: "local" }];
      for (const node of ["h1", "h2"]) swarm.join(node, { plugins: [...plugins, ...more] });
      swarm.join("h3", { plugins });
      const [task] = service(swarm, spec);
      expect(task?.status?.err).toBe(`no suitable node (${want})`);
      expect(task?.status?.state).toBe(TaskState.PENDING);
    });
  }

  test("a command of the node's own needs no containerd; a container waits until there is one", () => {
    const swarm = new OrchestratedSwarm(0);
    swarm.join("h1", { plugins: [{ type: "Runtime", name: "process" }] });
    const own = { container: { command: ["sleep", "1d"] }, runtime: "process" };
    expect(whereOf(service(swarm, { name: "own", task: own }))).toEqual(["h1"]);
    const { id } = swarm.create({ name: "web", ...replicas(1), task: image } as SpecParts);
    swarm.advance(1_000);
    expect(whereOf(swarm.tasks(id))).toEqual([""]);
    swarm.join("h2", { plugins: [{ type: "Runtime", name: "containerd" }] });
    swarm.advance(1_000);
    expect(whereOf(swarm.tasks(id))).toEqual(["h2"]);
  });

  test("a node that cannot encrypt, until it can", () => {
    const swarm = new OrchestratedSwarm(0);
    const wireguard = { publicKey: Buffer.alloc(32, 1), port: 4788, kind: "kernel" };
    swarm.join("h1", { wireguard: { problem: "there is no wireguard-go" } });
    // Of an older release: it has said nothing.
    swarm.join("h2");
    const network = swarm.state.network({ name: "secret" });
    const spec = network.spec && { ...network.spec, driverOpts: { encrypted: "" } };
    swarm.state.must((draft) => draft.update("network", { ...network, spec }) ?? true);
    const { id } = swarm.create({
      ...{ name: "web", ...replicas(1) },
      task: { ...image, networks: [{ target: "secret" }] },
    } as SpecParts);
    swarm.advance(1_000);
    const [task] = swarm.tasks(id);
    expect([task?.nodeId, task?.status?.err]).toEqual([
      "",
      "no suitable node (encrypted networks are not supported on 2 nodes; 1 node not available for new tasks)",
    ]);
    swarm.hello("h1", { wireguard });
    swarm.advance(1_000);
    expect(whereOf(swarm.tasks(id))).toEqual(["h1"]);
  });

  test("host-mode ports and replicas of a node run out", () => {
    const swarm = new OrchestratedSwarm(2);
    const ports = [{ targetPort: 80, publishedPort: 80, publishMode: 1 }];
    const tasks = service(swarm, { ...replicas(3), task: image, endpoint: { ports } });
    expect(whereOf(tasks)).toEqual(["", "h1", "h2"]);
    expect(tasks.find(({ nodeId }) => nodeId === "")?.status?.err).toBe(
      "no suitable node (host-mode port already in use on 2 nodes; 1 node not available for new tasks)",
    );
    const other = swarm.create({ name: "api", ...replicas(3), ...place({ maxReplicas: 1 }) });
    swarm.advance(1_000);
    expect(whereOf(swarm.tasks(other.id))).toEqual(["", "h1", "h2"]);
    expect(swarm.tasks(other.id).find(({ nodeId }) => nodeId === "")?.status?.err).toBe(
      "no suitable node (max replicas per node limit exceed on 2 nodes; 1 node not available for new tasks)",
    );
  });

  test("a network without an address left", () => {
    const swarm = new OrchestratedSwarm(2);
    // Of eight addresses: network, broadcast, gateway and VIP are not to be had.
    swarm.state.network({ name: "small", ipam: [{ subnet: "10.9.0.0/29" }] });
    const spec = { task: { ...image, networks: [{ target: "small" }] } };
    const tasks = service(swarm, { ...replicas(5), ...spec });
    const stuck = tasks.filter(({ nodeId }) => nodeId === "");
    expect(stuck.map(({ status }) => status?.err)).toEqual([
      "no address is left on network small (10.9.0.0/29)",
    ]);
    swarm.update("web", (before) => ({ ...before, ...replicas(4) }));
    swarm.advance(1_000);
    const left = [...swarm.view.tasks()].filter(({ nodeId }) => nodeId !== "");
    expect(left.length, "the one that had none was given up").toBe(4);
  });

  test("what it waits for may come", () => {
    const swarm = new OrchestratedSwarm(1);
    service(swarm, { name: "first", ...reserve({ memoryBytes: 6e9 }) });
    const [task] = service(swarm, { name: "second", ...reserve({ memoryBytes: 6e9 }) });
    expect(task?.status?.err).toContain("insufficient memory on 1 node");
    swarm.remove("first");
    swarm.advance(1_000);
    const after = swarm.view.task(task?.id ?? "");
    expect([after?.nodeId, after?.status?.err]).toEqual(["h1", ""]);
  });
});

describe("where tasks go", () => {
  test("to nodes with the fewest tasks of the service, then with the fewest at all", () => {
    const swarm = new OrchestratedSwarm(3);
    service(swarm, { name: "one", ...place({ constraints: ["node.id==h1"] }) });
    service(swarm, { name: "two", ...place({ constraints: ["node.id==h2"] }) });
    expect(whereOf(service(swarm, { ...replicas(1), task: image }))).toEqual(["h3"]);
    swarm.update("web", (spec) => ({ ...spec, ...replicas(6) }));
    swarm.advance(1_000);
    const web = swarm.tasks(swarm.service("web").id);
    expect(whereOf(web)).toEqual(["h1", "h1", "h2", "h2", "h3", "h3"]);
  });

  test("evenly over the values of a label, then of the next", () => {
    const swarm = new OrchestratedSwarm(4);
    const label = (name: string, labels: Record<string, string>) =>
      swarm.changeNode(name, (node) => ({ ...node, spec: node.spec && { ...node.spec, labels } }));
    label("h1", { zone: "east", rack: "1" });
    label("h2", { zone: "east", rack: "1" });
    label("h3", { zone: "east", rack: "2" });
    label("h4", { zone: "west" });
    const spread = ["node.labels.zone", "node.labels.rack"];
    expect(whereOf(service(swarm, { ...replicas(8), ...place({ spread }) }))).toEqual([
      "h1",
      "h2",
      "h3",
      "h3",
      "h4",
      "h4",
      "h4",
      "h4",
    ]);
  });

  test("a branch that is full gives its share to the others", () => {
    const swarm = new OrchestratedSwarm(2);
    swarm.changeNode("h1", (node) => ({
      ...node,
      spec: node.spec && { ...node.spec, labels: { zone: "east" } },
    }));
    const tasks = service(swarm, {
      ...replicas(6),
      task: {
        ...image,
        placement: { spread: ["node.labels.zone"], constraints: ["node.id!=h9"] },
        resources: { reservations: { nanoCpus: 1e9 } },
      },
    });
    expect(whereOf(tasks)).toEqual(["h1", "h1", "h1", "h2", "h2", "h2"]);
    swarm.update("web", (spec) => ({ ...spec, ...replicas(9) }));
    swarm.advance(1_000);
    expect(whereOf(swarm.tasks(swarm.service("web").id))).toEqual([
      "",
      "h1",
      "h1",
      "h1",
      "h1",
      "h2",
      "h2",
      "h2",
      "h2",
    ]);
  });

  test("last to a node on which the service fails again and again", () => {
    const swarm = new OrchestratedSwarm(2);
    swarm.availability("h2", Availability.PAUSE);
    const task = { container: { image: "missing" }, restart: { delayNs: 0 } };
    const tasks = service(swarm, { task });
    expect(new Set(whereOf(tasks))).toEqual(new Set(["h1"]));
    swarm.advance(10_000);
    service(swarm, { name: "busy", ...replicas(3), ...place({ constraints: ["node.id==h2"] }) });
    swarm.availability("h2", Availability.ACTIVE);
    swarm.advance(5_000);
    const newest = swarm.tasks(swarm.service("web").id).at(-1);
    expect(newest?.nodeId).toBe("h2");
  });

  test("resources with names are given one by one, and come back", () => {
    const swarm = new OrchestratedSwarm(0);
    const names = ["a", "b", "c"];
    swarm.join("h1", { genericResources: [{ kind: "gpu", value: 3, names }] });
    const gpus = (tasks: readonly Task[]) =>
      tasks.map((task) => task.genericResources.map(({ namedValue }) => namedValue).join());
    const spec = reserve({ generic: [{ kind: "gpu", value: 2 }] });
    expect(gpus(service(swarm, { name: "one", ...spec }))).toEqual(["a,b"]);
    const [second] = service(swarm, { name: "two", ...spec });
    expect(second?.status?.err).toContain("insufficient gpu on 1 node");
    swarm.remove("one");
    swarm.advance(1_000);
    expect(gpus(swarm.tasks(second?.serviceId ?? ""))).toEqual(["c,a"]);
  });

  test("a task gets an address on each of its networks, and on ingress if it publishes there", () => {
    const swarm = new OrchestratedSwarm(1);
    const net = swarm.state.network({ name: "net" });
    const [task] = service(swarm, {
      task: { ...image, networks: [{ target: "net", aliases: ["db"] }, { target: "bridge" }] },
      endpoint: { ports: [{ targetPort: 80, publishedPort: 8_080 }] },
    });
    const endpoints = (task?.endpointIds ?? []).map((id) => swarm.view.endpoint(id));
    expect(endpoints.map((each) => each?.networkId)).toEqual([
      swarm.view.ingressNetwork()?.id,
      net.id,
    ]);
    expect(endpoints[1]).toMatchObject({
      nodeId: "h1",
      kind: EndpointKind.TASK,
      ownerId: task?.id,
      name: `web.1.${task?.id}`,
      aliases: ["web", "db"],
    });
  });
});

test("a heap answers its items in order, however they grow meanwhile", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), fc.nat(50), (values, grows) => {
      const items = values.map((value) => ({ value }));
      const heap = new Heap(items, (a, b) => a.value - b.value);
      for (let i = 0; i < grows; i++) {
        const first = heap.first();
        if (first === undefined) break;
        expect(first.value).toBe(Math.min(...items.map(({ value }) => value)));
        first.value += i % 7;
        heap.settle();
      }
      const out: number[] = [];
      for (let item = heap.removeFirst(); item !== undefined; item = heap.removeFirst()) {
        out.push(item.value);
      }
      expect(out).toEqual(items.map(({ value }) => value).sort((a, b) => a - b));
    }),
  );
});
