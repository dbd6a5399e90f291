import { describe, expect, test } from "vitest";
import { Batch, type StoreAction } from "../../proto/gen/store.js";
import { Endpoint, Network, Node, Quarantine } from "../../proto/gen/types.js";
import { SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { itemOf, type Kind, type Objects } from "./objects.js";
import { Store } from "./store.js";

function create<K extends Kind>(kind: K, object: Objects[K]): StoreAction {
  return { action: { $case: "create", value: { object: itemOf(kind, object) } } };
}
function update<K extends Kind>(kind: K, object: Objects[K]): StoreAction {
  return { action: { $case: "update", value: { object: itemOf(kind, object) } } };
}
function remove(kind: string, id: string): StoreAction {
  return { action: { $case: "remove", value: { kind, id } } };
}

/** Applies one entry of raw transactions, as a log might hold them whatever the leader thought. */
function apply(store: Store, ...transactions: readonly (readonly StoreAction[])[]) {
  const batch = { transactions: transactions.map((actions) => ({ actions, nowMs: 5 })) };
  return store.apply(store.revision + 1, Batch.encode(batch).finish());
}

const node = (id: string, raftId = 0) =>
  Node.fromPartial({
    id,
    publicKeyDigest: Buffer.from(id),
    ...(raftId === 0 ? {} : { manager: { raftId, addr: "10.9.9.9:2377" } }),
  });
const network = (id: string, vni: number, cidr: string, name = id) =>
  Network.fromPartial({ id, vni, spec: { name }, subnets: [{ cidr }] });
const endpoint = (id: string, ipv4: string, parts: { mac?: string; networkId?: string } = {}) =>
  Endpoint.fromPartial({ id, nodeId: "n1", networkId: "net1", mac: id, ipv4, ...parts });

function small(): Store {
  const store = new Store();
  const outcomes = apply(store, [
    create("node", node("n1", 1)),
    create("network", network("net1", 4097, "10.0.1.0/24")),
    create("endpoint", endpoint("e1", "10.0.1.2/24")),
    create(
      "quarantine",
      Quarantine.fromPartial({ id: "net1/10.0.1.9", networkId: "net1", address: "10.0.1.9" }),
    ),
  ]);
  expect(outcomes).toEqual([undefined]);
  return store;
}

describe("a rule of the store refuses", () => {
  const cases: { name: string; actions: StoreAction[]; want: string }[] = [
    {
      name: "an id that exists",
      actions: [create("node", node("n1"))],
      want: "already-exists: node n1 already exists",
    },
    {
      name: "a raft id given twice",
      actions: [create("node", node("n2", 1))],
      want: "already-exists: raft id 1 belongs to node n1",
    },
    {
      name: "a key given twice",
      actions: [create("node", { ...node("n2"), publicKeyDigest: Buffer.from("n1") })],
      want: "already-exists: node n1 has the same key",
    },
    {
      name: "a node removed from under its endpoint",
      actions: [remove("node", "n1")],
      want: "failed-precondition: node n1 still has endpoint e1",
    },
    {
      name: "a network name given twice",
      actions: [create("network", network("net2", 5000, "10.0.2.0/24", "net1"))],
      want: "already-exists: network with name net1 already exists",
    },
    {
      name: "a VNI given twice",
      actions: [create("network", network("net2", 4097, "10.0.2.0/24"))],
      want: "already-exists: VNI 4097 belongs to network net1",
    },
    {
      name: "a VNI beyond 24 bits",
      actions: [create("network", network("net2", 2 ** 24, "10.0.2.0/24"))],
      want: "invalid-argument: VNI 16777216 is not between 1 and 16777215",
    },
    {
      name: "a subnet inside another network's",
      actions: [create("network", network("net2", 5000, "10.0.1.128/25"))],
      want: "failed-precondition: subnet 10.0.1.128/25 overlaps with a subnet of network net1",
    },
    {
      name: "a subnet around another network's",
      actions: [create("network", network("net2", 5000, "10.0.0.0/16"))],
      want: "failed-precondition: subnet 10.0.0.0/16 overlaps with a subnet of network net1",
    },
    {
      name: "a subnet with host bits",
      actions: [create("network", network("net2", 5000, "10.0.2.1/24"))],
      want: "invalid-argument: invalid subnet 10.0.2.1/24",
    },
    {
      name: "a network removed from under its endpoint",
      actions: [remove("network", "net1")],
      want: "failed-precondition: network net1 is in use by endpoint e1",
    },
    {
      name: "an address given twice",
      actions: [create("endpoint", endpoint("e2", "10.0.1.2/24"))],
      want: "already-exists: address 10.0.1.2 is in use by endpoint e1",
    },
    {
      name: "a MAC given twice",
      actions: [create("endpoint", endpoint("e2", "10.0.1.3/24", { mac: "e1" }))],
      want: "already-exists: MAC e1 is in use by endpoint e1",
    },
    {
      name: "an address that rests",
      actions: [create("endpoint", endpoint("e2", "10.0.1.9/24"))],
      want: "failed-precondition: address 10.0.1.9 was freed a moment ago and rests",
    },
    {
      name: "an address outside the network",
      actions: [create("endpoint", endpoint("e2", "10.0.2.2/24"))],
      want: "invalid-argument: address 10.0.2.2/24 is outside network net1",
    },
    {
      name: "an endpoint of a network that is not there",
      actions: [create("endpoint", endpoint("e2", "10.0.1.3/24", { networkId: "gone" }))],
      want: "not-found: network gone not found",
    },
    {
      name: "an update of another version",
      actions: [update("node", Node.fromPartial({ id: "n1", meta: { version: 7 } }))],
      want: "failed-precondition: update out of sequence",
    },
    {
      name: "an update that moves an endpoint",
      actions: [
        update("endpoint", {
          ...endpoint("e1", "10.0.1.4/24"),
          meta: { version: 1, createdVersion: 1, createdAtMs: 0, updatedAtMs: 0 },
        }),
      ],
      want: "invalid-argument: network, node and addresses of an endpoint cannot be changed",
    },
    {
      name: "an action of a kind it does not know",
      actions: [remove("planet", "x")],
      want: "unimplemented: an action of a newer release",
    },
  ];
  for (const { name, actions, want } of cases) {
    test(name, () => {
      const store = small();
      const before = store.snapshot();
      // What the same transaction did before it was refused is undone as well.
      const [outcome] = apply(store, [create("node", node("n9")), ...actions]);
      expect(sentenceOf(outcome)).toBe(want);
      const after = store.snapshot();
      expect(store.view.node("n9")).toBeUndefined();
      // Only the revision has moved.
      expect(after.length).toBe(before.length);
    });
  }
});

test("a refused transaction stops no other of its entry", () => {
  const store = small();
  const outcomes = apply(store, [create("node", node("n1"))], [create("node", node("n2"))]);
  expect(outcomes.map((outcome) => outcome === undefined)).toEqual([false, true]);
  expect(store.view.node("n2")?.meta).toEqual({
    version: 2,
    createdVersion: 2,
    createdAtMs: 5,
    updatedAtMs: 5,
  });
});

test("removing what is not there is no error and no change", () => {
  const store = small();
  const seen: number[] = [];
  store.changes.subscribe((change) => seen.push(change.revision));
  expect(apply(store, [remove("endpoint", "nobody")])).toEqual([undefined]);
  expect(seen).toEqual([]);
});

describe("a draft", () => {
  test("is gone when its call ends, with all that was kept", () => {
    const swarm = new SwarmState();
    swarm.network({ name: "web" });
    const before = Buffer.from(swarm.store.snapshot());
    swarm.store.draft((draft) => {
      draft.attempt(1, (inner) => swarm.createNetwork(inner, { name: "db" }));
      draft.attempt(1, (inner) => swarm.attachIn(inner, "db", {}));
      expect(draft.networkByName("db")?.vni).toBe(4098);
      expect(draft.transactions).toHaveLength(2);
    });
    expect(swarm.view.networkByName("db")).toBeUndefined();
    expect(swarm.view.lowestFreeVni(4097)).toBe(4098);
    expect(before.equals(swarm.store.snapshot())).toBe(true);
  });

  test("keeps what succeeded and drops what was refused", () => {
    const swarm = new SwarmState();
    const results = swarm.batch<unknown>([
      (draft) => swarm.createNetwork(draft, { name: "a" }),
      (draft) => {
        swarm.createNetwork(draft, { name: "lost" });
        return swarm.createNetwork(draft, { name: "a" });
      },
      (draft) => swarm.createNetwork(draft, { name: "b" }),
    ]);
    expect(sentenceOf(results[1])).toBe("already-exists: network with name a already exists");
    expect(swarm.view.networkByName("lost")).toBeUndefined();
    // The dropped one has used up neither VNI nor subnet.
    expect(swarm.view.networkByName("b")?.vni).toBe(4098);
    expect(swarm.view.networkByName("b")?.subnets[0]?.cidr).toBe("10.0.2.0/24");
  });

  test("answers the rule that a change broke, whatever the request says", () => {
    const swarm = new SwarmState();
    const result = swarm.write((draft) => {
      draft.create("node", node("node0"));
      return "fine";
    });
    expect(sentenceOf(result)).toBe("already-exists: node node0 already exists");
  });

  test("of several requests that change one object in turn is one entry", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    const rename = (name: string) => (draft: Parameters<Parameters<Store["draft"]>[0]>[0]) => {
      const before = draft.node("n1");
      if (before?.spec) draft.update("node", { ...before, spec: { ...before.spec, name } });
      return name;
    };
    expect(swarm.batch([rename("a"), rename("b")])).toEqual(["a", "b"]);
    expect(swarm.view.node("n1")?.spec?.name).toBe("b");
    expect(swarm.view.node("n1")?.meta?.version).toBe(swarm.store.revision);
  });

  test("undoes what a request did before it threw", () => {
    const swarm = new SwarmState();
    const before = Buffer.from(swarm.store.snapshot());
    const broken = () =>
      swarm.write((draft) => {
        swarm.createNetwork(draft, { name: "a" });
        throw new Error("bug");
      });
    expect(broken).toThrow("bug");
    expect(before.equals(swarm.store.snapshot())).toBe(true);
  });
});

test("nodes are found by their WireGuard key, until they have another or are gone", () => {
  const store = new Store();
  const key = Buffer.alloc(32, 7);
  const wireguard = { publicKey: key, port: 4788, kind: "kernel" };
  const withKey = (id: string) => Node.fromPartial({ ...node(id), description: { wireguard } });
  const holders = () => [...store.view.nodesByWireguardKey(key)].map(({ id }) => id).sort();
  for (const id of ["n1", "n2"]) apply(store, [create("node", withKey(id))]);
  apply(store, [create("node", node("n3"))]);
  expect([holders(), store.view.nodeCount]).toEqual([["n1", "n2"], 3]);
  const { meta } = store.view.node("n1") ?? node("n1");
  apply(store, [update("node", { ...node("n1"), meta })]);
  expect(holders()).toEqual(["n2"]);
  apply(store, [remove("node", "n2")]);
  expect([holders(), store.view.nodeCount]).toEqual([[], 2]);
  expect([...store.view.nodesByWireguardKey(Buffer.alloc(0))]).toEqual([]);
});

test("a snapshot of another format is not read", () => {
  const store = new Store();
  const bytes = Buffer.from([8, 99]);
  expect(() => store.restore(bytes)).toThrow("format");
});

test("a snapshot in slices is of the state at the first, whatever is written meanwhile", () => {
  const store = new Store();
  const ids = Array.from({ length: 5_000 }, (_, i) => `n${(i * 7919) % 5_000}`);
  apply(store, ...ids.map((id) => [create("node", node(id))]));
  const before = store.snapshot();
  const slices = store.snapshotSlices();
  let steps = 1;
  let step = slices.next();
  for (; step.done !== true; step = slices.next(), steps++) {
    apply(store, [create("node", node(`new ${steps}`)), remove("node", `n${steps}`)]);
    const changed = store.view.node(`n${4_000 + steps}`) ?? node("");
    apply(store, [update("node", { ...changed, message: "other" })]);
  }
  expect(steps).toBe(3);
  expect(Buffer.compare(step.value, before)).toBe(0);
  expect(store.view.node("n4001")?.message).toBe("other");
});

test("a restore is announced, and the memory of changes starts with it", () => {
  const swarm = new SwarmState();
  swarm.network({ name: "web" });
  const other = new Store();
  const seen: boolean[] = [];
  other.changes.subscribe((change) => seen.push(change.restored));
  other.restore(swarm.store.snapshot());
  expect(seen).toEqual([true]);
  expect(other.view.changesSince(other.revision)).toEqual([]);
  expect(other.view.changesSince(other.revision - 1)).toBeUndefined();
});
