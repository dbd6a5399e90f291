import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { FIRST_NODE, SwarmState } from "../../test/fakes/swarm-state.js";
import { removeNode } from "../control/node.js";
import { recordNodeSession } from "../control/session.js";
import { Store } from "../store/store.js";
import type { StoreChange } from "../store/view.js";
import { affectedNodes } from "./affected.js";
import { assignmentsFor, isEmptyDelta } from "./assignments.js";

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

/** Keeps what it is told as an agent does, and forgets the rows of networks that it has left. */
class FakeAgent {
  readonly networks = new Map<string, number>();
  readonly endpoints = new Map<string, { networkId: string; nodeId: string; version: number }>();
  readonly peers = new Map<string, string>();
  revision = 0;

  constructor(readonly nodeId: string) {}

  take(message: Assignments): void {
    if (message.full) for (const map of [this.networks, this.endpoints, this.peers]) map.clear();
    for (const id of message.removedEndpoints) this.endpoints.delete(id);
    for (const id of message.removedNetworks) this.networks.delete(id);
    for (const { id, meta } of message.networks) this.networks.set(id, meta?.version ?? 0);
    for (const { id, networkId, nodeId, meta } of message.endpoints) {
      this.endpoints.set(id, { networkId, nodeId, version: meta?.version ?? 0 });
    }
    for (const { nodeId, dataPathAddr } of message.peers) this.peers.set(nodeId, dataPathAddr);
    const own = [...this.endpoints.values()].filter((row) => row.nodeId === this.nodeId);
    const on = new Set(own.map((row) => row.networkId));
    for (const [id, row] of this.endpoints) if (!on.has(row.networkId)) this.endpoints.delete(id);
    for (const id of this.networks.keys()) if (!on.has(id)) this.networks.delete(id);
    this.revision = message.revision;
  }

  /** All that makes a difference to the data path. */
  state() {
    const rows = [...this.endpoints].sort(([a], [b]) => (a < b ? -1 : 1));
    const nodes = new Set(rows.map(([, row]) => row.nodeId).filter((id) => id !== this.nodeId));
    return {
      networks: [...this.networks].sort(([a], [b]) => (a < b ? -1 : 1)),
      rows,
      peers: [...nodes].sort().map((id) => [id, this.peers.get(id)]),
    };
  }
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

test("deltas heard at any points lead to what a full message says, and no affected node is missed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
      const swarm = lab();
      swarm.network({ name: "c" });
      const agents = NODES.map((id) => new FakeAgent(id));
      // Nodes that would be sent nothing: they must hold what a full message would say.
      const due = new Set<string>(NODES);
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
          agent?.take(assignmentsFor(swarm.view, nodeId, agent.revision));
          due.delete(nodeId);
        } else if (each.do === "failover") {
          const other = new Store();
          other.restore(swarm.store.snapshot());
          agent?.take(assignmentsFor(other.view, nodeId, agent.revision));
          due.delete(nodeId);
        }
        for (const held of agents) {
          if (due.has(held.nodeId)) continue;
          const fresh = new FakeAgent(held.nodeId);
          fresh.take(assignmentsFor(swarm.view, held.nodeId, 0));
          expect(held.state()).toEqual(fresh.state());
        }
      }
    }),
    { numRuns: 200 },
  );
});
