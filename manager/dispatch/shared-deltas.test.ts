import { expect, test } from "vitest";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import type { StoreChange, StoreView } from "../store/view.js";
import { type Affected, affectedNodes } from "./affected.js";
import { SharedDeltas } from "./shared-deltas.js";

const NODES_OF_A_NETWORK = 4;

/** Each network has nodes and `rows` endpoints on each of them, and no node is on two. */
function swarmOf(networks: number, rows: number): SwarmState {
  const swarm = new SwarmState();
  for (let i = 0; i < networks; i++) {
    swarm.network({ name: `net${i}` });
    for (const node of nodesOf(i)) {
      swarm.node(node);
      for (let n = 0; n < rows; n++) swarm.attach(`net${i}`, { node });
    }
  }
  return swarm;
}
const nodesOf = (network: number) =>
  Array.from({ length: NODES_OF_A_NETWORK }, (_, i) => `n${network}-${i}`);

/** The same view, with every call and every item that it answers counted. */
function counted(view: StoreView) {
  let items = 0;
  const proxy = new Proxy(view, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        items++;
        const answer: unknown = value.apply(target, args);
        const isList = typeof answer === "object" && answer !== null && Symbol.iterator in answer;
        if (!isList) return answer;
        const all = [...(answer as Iterable<unknown>)];
        items += all.length;
        return all;
      };
    },
  });
  return { view: proxy, items: () => items };
}

/** One more endpoint on the first network: whom it concerns, what they are told, what that costs. */
function told(swarm: SwarmState) {
  const seen = counted(swarm.view);
  let affected: Affected | undefined;
  const unsubscribe = swarm.store.changes.subscribe((change: StoreChange) => {
    affected = affectedNodes(change, seen.view);
  });
  const since = swarm.view.revision;
  swarm.attach("net0", { node: "n0-0" });
  unsubscribe();
  const shared = new SharedDeltas();
  const nodes = [...(affected?.assignments ?? [])].sort();
  const messages = nodes.map((node): Assignments => shared.for(seen.view, node, since));
  return { nodes, messages, items: seen.items() };
}

test("an endpoint concerns the nodes of its network, and all but its own are told one and the same", () => {
  const { nodes, messages } = told(swarmOf(3, 2));
  expect(nodes).toEqual(nodesOf(0));
  expect(new Set(messages).size).toBe(2);
  expect(messages.map(({ endpoints }) => endpoints.length)).toEqual([1, 1, 1, 1]);
  const [own, ...others] = messages.map(({ peers }) => peers.map(({ nodeId }) => nodeId));
  expect(own).toEqual([]);
  expect(others).toEqual([["n0-0"], ["n0-0"], ["n0-0"]]);
});

test("it costs as much among twenty networks as among two", () => {
  expect(told(swarmOf(20, 2)).items).toBe(told(swarmOf(2, 2)).items);
});

test("it costs the nodes that it does not name the same, however many endpoints there are", () => {
  const few = told(swarmOf(2, 2)).items;
  const many = told(swarmOf(2, 20)).items;
  // What of its own networks is known to a node is looked up in its endpoints: of the named one, and once for the others.
  const rows = 18;
  expect(many - few).toBeLessThanOrEqual(2 * rows);
});

test("what is said of one revision is forgotten with it", () => {
  const swarm = swarmOf(1, 1);
  const shared = new SharedDeltas();
  const since = swarm.view.revision;
  swarm.attach("net0", { node: "n0-0" });
  const first = shared.for(swarm.view, "n0-1", since);
  expect(shared.for(swarm.view, "n0-2", since)).toBe(first);
  swarm.attach("net0", { node: "n0-0" });
  expect(shared.for(swarm.view, "n0-2", since).endpoints).toHaveLength(2);
});
