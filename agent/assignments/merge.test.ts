import fc from "fast-check";
import { expect, test } from "vitest";
import { type Assignments, Peer, ServiceRow } from "../../proto/gen/dispatcher.js";
import {
  Config,
  ConfigSpec,
  ContainerSpec,
  Secret,
  SecretSpec,
  Task,
  TaskSpec,
  TaskState,
  TaskStatus,
} from "../../proto/gen/service.js";
import { Endpoint, Network, Policy } from "../../proto/gen/types.js";
import {
  forDisk,
  lacksSomething,
  merge,
  mergeOwn,
  NOTHING,
  withoutOwn,
  withStatus,
} from "./merge.js";

const ME = "me";
const INGRESS = "ingress";
const meta = (version: number) => ({
  version,
  createdVersion: version,
  createdAtMs: 0,
  updatedAtMs: 0,
});
const network = (id: string, version: number) =>
  Network.fromPartial({ id, meta: meta(version), spec: { ingress: id === INGRESS } });
const endpoint = (id: string, networkId: string, nodeId: string, version: number) =>
  Endpoint.create({ id, networkId, nodeId, meta: meta(version) });
const delta = (revision: number, parts: Partial<Assignments>): Assignments => ({
  ...NOTHING,
  full: false,
  revision,
  ...parts,
});

test("a network whose last own endpoint goes is forgotten with all its rows", () => {
  const have = merge(
    undefined,
    {
      ...NOTHING,
      revision: 5,
      networks: [network("n", 1)],
      endpoints: [endpoint("a", "n", ME, 2), endpoint("b", "n", "x", 3)],
    },
    ME,
  );
  expect(have.endpoints).toHaveLength(2);
  const after = merge(have, delta(6, { removedEndpoints: ["a"] }), ME);
  expect(after).toEqual({ ...NOTHING, revision: 6 });
});

test("the ingress network stays without an endpoint of this node's own, until it is withdrawn", () => {
  const rows = { networks: [network(INGRESS, 1)], endpoints: [endpoint("vip", INGRESS, "", 2)] };
  const have = merge(undefined, { ...NOTHING, revision: 5, ...rows }, ME);
  expect([have.networks.length, have.endpoints.length]).toEqual([1, 1]);
  const after = merge(have, delta(6, { removedNetworks: [INGRESS] }), ME);
  expect(after).toEqual({ ...NOTHING, revision: 6 });
});

test("a service's row goes with its last endpoint, a policy with its network, a peer with its word", () => {
  const services = [ServiceRow.fromPartial({ id: "web", version: 3 })];
  const policies = [Policy.fromPartial({ id: "p", networkId: "n", meta: meta(3) })];
  const task = { ...endpoint("b", "n", "x", 3), serviceId: "web" };
  const peer = Peer.fromPartial({ nodeId: "x", version: 3 });
  const rows = { networks: [network("n", 1)], endpoints: [endpoint("a", "n", ME, 2), task] };
  const all = { ...NOTHING, revision: 5, ...rows, services, policies, peers: [peer] };
  const have = merge(undefined, all, ME);
  expect(have).toMatchObject({ services: [{ id: "web" }], policies: [{ id: "p" }] });
  const silent = merge(have, delta(6, { peers: [{ ...peer, version: 4, silent: true }] }), ME);
  expect(silent.peers).toMatchObject([{ silent: true }]);
  const gone = merge(silent, delta(7, { removedEndpoints: ["b"], removedPeers: ["x"] }), ME);
  expect(gone).toMatchObject({ services: [], policies: [{ id: "p" }], peers: [] });
  const left = merge(gone, delta(8, { removedEndpoints: ["a"] }), ME);
  expect(left).toEqual({ ...NOTHING, revision: 8 });
});

test("a row never goes back to an older version", () => {
  const have = mergeOwn(undefined, endpoint("a", "n", ME, 9), network("n", 9), ME);
  const after = merge(have, delta(9, { networks: [network("n", 4)] }), ME);
  expect(after.networks[0]?.meta?.version).toBe(9);
});

test("a delta older than what is held changes nothing", () => {
  const have = merge(undefined, { ...NOTHING, revision: 8 }, ME);
  expect(merge(have, delta(7, { removedEndpoints: ["a"] }), ME)).toBe(have);
});

test("an attach's answer is there at once, and goes with the detach", () => {
  const have = mergeOwn(undefined, endpoint("a", "n", ME, 9), network("n", 3), ME);
  expect(have).toMatchObject({ revision: 0, networks: [{ id: "n" }], endpoints: [{ id: "a" }] });
  expect(withoutOwn(have, "a", ME)).toEqual(NOTHING);
});

// The slow, obvious twin: a swarm's history of rows. A node that hears each change as a delta must hold
// what a node that is told everything in full would, whatever it held and however often it hears it.
type Op =
  | { kind: "network"; id: string }
  | { kind: "endpoint"; id: string; networkId: string; nodeId: string }
  | { kind: "gone"; id: string }
  | { kind: "shared"; isShared: boolean };
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ kind: fc.constant("network" as const), id: fc.constantFrom("n1", "n2") }),
  fc.record({
    kind: fc.constant("endpoint" as const),
    id: fc.constantFrom("a", "b", "c", "d"),
    networkId: fc.constantFrom("n1", "n2", INGRESS),
    nodeId: fc.constantFrom(ME, "x", "y"),
  }),
  fc.record({ kind: fc.constant("gone" as const), id: fc.constantFrom("a", "b", "c", "d") }),
  // Whether the ingress network is every node's.
  fc.record({ kind: fc.constant("shared" as const), isShared: fc.boolean() }),
);

interface World {
  networks: Map<string, Network>;
  endpoints: Map<string, Endpoint>;
  shared: boolean;
}

function fullView(world: World, revision: number): Assignments {
  const endpoints = [...world.endpoints.values()].filter((row) =>
    world.networks.has(row.networkId),
  );
  const mine = new Set(endpoints.filter((row) => row.nodeId === ME).map((row) => row.networkId));
  if (world.shared && world.networks.has(INGRESS)) mine.add(INGRESS);
  const nodes = new Set(
    endpoints.filter((row) => mine.has(row.networkId)).map((row) => row.nodeId),
  );
  nodes.delete(ME);
  const peers: Peer[] = [...nodes].map((nodeId) => ({
    nodeId,
    dataPathAddr: nodeId,
    hostname: "",
    version: 1,
    silent: false,
  }));
  return {
    ...NOTHING,
    revision,
    networks: [...world.networks.values()].filter((row) => mine.has(row.id)),
    endpoints: endpoints.filter((row) => mine.has(row.networkId)),
    peers,
  };
}

test("deltas, in any grouping and repeated, lead to the same as a full set", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(op, fc.boolean()), { maxLength: 40 }), (history) => {
      const world: World = {
        networks: new Map([[INGRESS, network(INGRESS, 1)]]),
        endpoints: new Map(),
        shared: false,
      };
      let held = merge(undefined, NOTHING, ME);
      let since: string[] = [];
      history.forEach(([change, tell], index) => {
        const revision = index + 1;
        if (change.kind === "network") world.networks.set(change.id, network(change.id, revision));
        else if (change.kind === "shared") world.shared = change.isShared;
        else if (change.kind === "gone") {
          if (world.endpoints.delete(change.id)) since.push(change.id);
        } else if (!world.endpoints.has(change.id)) {
          world.endpoints.set(
            change.id,
            endpoint(change.id, change.networkId, change.nodeId, revision),
          );
        }
        if (!tell) return;
        const view = fullView(world, revision);
        // All rows of its networks: what the dispatcher may always send, and the most it does.
        const isOn = (rows: readonly Network[]) => rows.some(({ id }) => id === INGRESS);
        const removedNetworks = isOn(held.networks) && !isOn(view.networks) ? [INGRESS] : [];
        const heard = { ...view, full: false, removedEndpoints: since, removedNetworks };
        held = merge(held, heard, ME);
        const again = merge(held, heard, ME);
        const full = merge(undefined, view, ME);
        expect(again).toEqual(held);
        expect({ ...held, peers: [] }).toEqual({ ...full, peers: [] });
        const peerIds = new Set(held.peers.map((row) => row.nodeId));
        for (const peer of full.peers) expect(peerIds.has(peer.nodeId)).toBe(true);
        since = [];
      });
    }),
  );
});

// ---- Tasks, secrets and configs ----------------------------------------------------------------------

const SECRET = "c2VjcmV0"; // What a leak would look like in the bytes: the text below, and its base64.
const secretRow = (id: string, version: number) =>
  Secret.create({
    id,
    meta: meta(version),
    spec: SecretSpec.create({ name: id, data: Buffer.from("secret") }),
  });
const configRow = (id: string, version: number) =>
  Config.create({
    id,
    meta: meta(version),
    spec: ConfigSpec.create({ name: id, data: Buffer.from("secret") }),
  });
function taskRow(id: string, version: number, state: TaskState, refers: readonly string[] = []) {
  const secrets = refers.map((secretId) => ({ secretId, secretName: secretId, file: undefined }));
  const configs = refers.map((configId) => ({
    ...{ configId, configName: configId, file: undefined, runtime: false },
  }));
  const container = ContainerSpec.create({ image: "app", secrets, configs, registryAuth: SECRET });
  return Task.create({
    id,
    meta: meta(version),
    nodeId: ME,
    spec: TaskSpec.create({ container }),
    status: TaskStatus.create({ state }),
  });
}

test("a secret goes with the last task that may still need it", () => {
  const rows = { secrets: [secretRow("s", 1)], configs: [configRow("s", 1)] };
  const running = taskRow("t", 1, TaskState.RUNNING, ["s"]);
  const held = merge(undefined, { ...NOTHING, revision: 1, tasks: [running], ...rows }, ME);
  expect([held.secrets.length, held.configs.length]).toEqual([1, 1]);
  const over = delta(2, { tasks: [taskRow("t", 2, TaskState.FAILED, ["s"])] });
  const after = merge(held, over, ME);
  expect([after.tasks.length, after.secrets.length, after.configs.length]).toEqual([1, 0, 0]);
  expect(merge(held, delta(2, { removedTasks: ["t"] }), ME)).toEqual({ ...NOTHING, revision: 2 });
});

test("no disk gets what is secret, and what a task then lacks is known", () => {
  const rows = { secrets: [secretRow("s", 1)], configs: [configRow("s", 1)] };
  const tasks = [taskRow("t", 1, TaskState.RUNNING, ["s"])];
  const kept = forDisk(merge(undefined, { ...NOTHING, revision: 1, tasks, ...rows }, ME));
  expect(JSON.stringify(kept)).not.toContain(SECRET);
  expect(JSON.stringify(kept)).not.toContain(JSON.stringify(Buffer.from("secret")));
  expect(lacksSomething(kept)).toBe(true);
  expect(lacksSomething(forDisk(NOTHING))).toBe(false);
  // A task that is over needs nothing any more.
  const over = forDisk({ ...NOTHING, tasks: [taskRow("t", 2, TaskState.FAILED)] });
  expect(lacksSomething(over)).toBe(false);
});

test("what the node has said of a task is not undone by who has not heard it", () => {
  const told = { ...NOTHING, revision: 1, tasks: [taskRow("t", 1, TaskState.ASSIGNED)] };
  const said = withStatus(
    merge(undefined, told, ME),
    "t",
    TaskStatus.create({ state: TaskState.COMPLETE, message: "finished" }),
  );
  for (const full of [true, false]) {
    const again = merge(said, { ...told, full, revision: 2 }, ME);
    expect(again.tasks[0]?.status?.message).toBe("finished");
  }
  const orphaned = [taskRow("t", 3, TaskState.ORPHANED)];
  const after = merge(said, delta(3, { tasks: orphaned }), ME);
  expect(after.tasks[0]?.status?.state).toBe(TaskState.ORPHANED);
  expect(withStatus(after, "t", TaskStatus.create({ state: TaskState.FAILED }))).toBe(after);
  expect(withStatus(after, "x", TaskStatus.create({ state: TaskState.FAILED }))).toBe(after);
});

type TaskOp = {
  readonly id: string;
  readonly kind: "task" | "gone" | "secret";
  readonly state: TaskState;
  readonly refers: readonly string[];
};
const taskOp: fc.Arbitrary<TaskOp> = fc.record({
  id: fc.constantFrom("a", "b", "c"),
  kind: fc.constantFrom("task" as const, "task" as const, "gone" as const, "secret" as const),
  state: fc.constantFrom(TaskState.ASSIGNED, TaskState.RUNNING, TaskState.FAILED),
  refers: fc.subarray(["s1", "s2"]),
});

test("of tasks too, deltas in any grouping and repeated lead to the same as a full set", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(taskOp, fc.boolean()), { maxLength: 40 }), (history) => {
      const tasks = new Map<string, Task>();
      const versions = new Map([
        ["s1", 1],
        ["s2", 1],
      ]);
      let held = merge(undefined, NOTHING, ME);
      let gone = new Set<string>();
      let changed = new Set<string>();
      let made = 0;
      history.forEach(([op, tell], index) => {
        const revision = index + 2;
        const known = tasks.get(op.id);
        if (op.kind === "secret") {
          versions.set(op.refers[0] ?? "s1", revision);
        } else if (op.kind === "gone") {
          if (tasks.delete(op.id)) gone.add(known?.id ?? "");
        } else if (known === undefined) {
          // A task that is gone never comes back: the next one has its own id.
          const row = taskRow(`${op.id}${++made}`, revision, op.state, op.refers);
          tasks.set(op.id, row);
          changed.add(op.id);
        } else if ((known.status?.state ?? 0) < op.state) {
          const status = TaskStatus.create({ state: op.state });
          tasks.set(op.id, { ...known, meta: meta(revision), status });
          changed.add(op.id);
        }
        if (!tell) return;
        const needed = (of: readonly Task[]) => [
          ...new Set(
            of.flatMap(({ status, spec }) =>
              (status?.state ?? 0) >= TaskState.COMPLETE
                ? []
                : (spec?.container?.secrets ?? []).map(({ secretId }) => secretId),
            ),
          ),
        ];
        const rows = (of: readonly Task[]) => ({
          tasks: [...of],
          secrets: needed([...tasks.values()]).map((id) => secretRow(id, versions.get(id) ?? 1)),
          configs: needed([...tasks.values()]).map((id) => configRow(id, versions.get(id) ?? 1)),
        });
        const news = [...changed].flatMap((id) => tasks.get(id) ?? []);
        const heard = delta(revision, { ...rows(news), removedTasks: [...gone] });
        held = merge(held, heard, ME);
        const full = merge(undefined, { ...NOTHING, revision, ...rows([...tasks.values()]) }, ME);
        expect(merge(held, heard, ME)).toEqual(held);
        expect(held).toEqual(full);
        gone = new Set();
        changed = new Set();
      });
    }),
  );
});
