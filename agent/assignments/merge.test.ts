import fc from "fast-check";
import { expect, test } from "vitest";
import type { Assignments, Peer } from "../../proto/gen/dispatcher.js";
import { Endpoint, Network } from "../../proto/gen/types.js";
import { merge, mergeOwn, NOTHING, withoutOwn } from "./merge.js";

const ME = "me";
const meta = (version: number) => ({
  version,
  createdVersion: version,
  createdAtMs: 0,
  updatedAtMs: 0,
});
const network = (id: string, version: number) => Network.create({ id, meta: meta(version) });
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
  | { kind: "gone"; id: string };
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ kind: fc.constant("network" as const), id: fc.constantFrom("n1", "n2") }),
  fc.record({
    kind: fc.constant("endpoint" as const),
    id: fc.constantFrom("a", "b", "c", "d"),
    networkId: fc.constantFrom("n1", "n2"),
    nodeId: fc.constantFrom(ME, "x", "y"),
  }),
  fc.record({ kind: fc.constant("gone" as const), id: fc.constantFrom("a", "b", "c", "d") }),
);

interface World {
  networks: Map<string, Network>;
  endpoints: Map<string, Endpoint>;
}

function fullView(world: World, revision: number): Assignments {
  const endpoints = [...world.endpoints.values()].filter((row) =>
    world.networks.has(row.networkId),
  );
  const mine = new Set(endpoints.filter((row) => row.nodeId === ME).map((row) => row.networkId));
  const nodes = new Set(
    endpoints.filter((row) => mine.has(row.networkId)).map((row) => row.nodeId),
  );
  nodes.delete(ME);
  const peers: Peer[] = [...nodes].map((nodeId) => ({
    nodeId,
    dataPathAddr: nodeId,
    hostname: "",
    version: 1,
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
      const world: World = { networks: new Map(), endpoints: new Map() };
      let held = merge(undefined, NOTHING, ME);
      let since: string[] = [];
      history.forEach(([change, tell], index) => {
        const revision = index + 1;
        if (change.kind === "network") world.networks.set(change.id, network(change.id, revision));
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
        const heard = { ...view, full: false, removedEndpoints: since };
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
