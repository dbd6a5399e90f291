// Random transactions, most of them in conflict with what is there: every manager must come to the same
// state, each transaction must be done whole or not at all, and a draft must leave no trace.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Batch, type StoreAction } from "../../proto/gen/store.js";
import { Endpoint, Network, Node, Quarantine } from "../../proto/gen/types.js";
import { itemOf, type Kind, type Objects } from "./objects.js";
import { Store } from "./store.js";

const small = fc.nat(3);

function objectOf<K extends Kind>(kind: K, object: Objects[K]) {
  return { object: itemOf(kind, object) };
}

const object = fc
  .record({ kind: fc.nat(3), id: small, other: small, value: small, version: fc.nat(8) })
  .map(({ kind, id, other, value, version }) => {
    const meta = { version, createdVersion: 0, createdAtMs: 0, updatedAtMs: 0 };
    if (kind === 0) {
      const manager = { raftId: value, addr: "h:1" };
      return objectOf("node", Node.fromPartial({ id: `n${id}`, meta, manager }));
    }
    if (kind === 1) {
      const subnets = [{ cidr: `10.0.${value}.0/24`, gateway: `10.0.${value}.1` }];
      const spec = { name: `name${other}` };
      const vni = 4096 + value;
      const network = { id: `w${id}`, meta, vni, spec, subnets, leaving: version === 8 };
      return objectOf("network", Network.fromPartial(network));
    }
    const networkId = `w${other}`;
    const address = `10.0.${other}.${2 + value}`;
    if (kind === 2) {
      const mac = `mac${value}`;
      const place = { nodeId: `n${id}`, networkId, ipv4: `${address}/24`, mac };
      return objectOf("endpoint", Endpoint.fromPartial({ id: `e${id}`, meta, ...place }));
    }
    const key = `${networkId}/${address}`;
    return objectOf("quarantine", Quarantine.fromPartial({ id: key, meta, networkId, address }));
  });

const action: fc.Arbitrary<StoreAction> = fc.oneof(
  {
    weight: 4,
    arbitrary: object.map((value) => ({ action: { $case: "create" as const, value } })),
  },
  {
    weight: 2,
    arbitrary: object.map((value) => ({ action: { $case: "update" as const, value } })),
  },
  {
    weight: 1,
    arbitrary: object.map(({ object: item }) => {
      const value = { kind: item.$case, id: item.value.id };
      return { action: { $case: "remove" as const, value } };
    }),
  },
);
const transaction = fc.record({
  actions: fc.array(action, { minLength: 1, maxLength: 4 }),
  nowMs: fc.nat(9),
});
const batches = fc.array(fc.array(transaction, { maxLength: 4 }), { maxLength: 40, size: "max" });

test("the same entries make the same state, whole transactions only, also through a snapshot", () => {
  let done = 0;
  let refused = 0;
  fc.assert(
    fc.property(batches, fc.nat(40), (entries, snapshotAt) => {
      const a = new Store();
      let b = new Store();
      for (const [i, transactions] of entries.entries()) {
        const data = Batch.encode({ transactions }).finish();
        // One at a time on a third store: a refused one is as if it had never been.
        const before = new Store();
        before.restore(a.snapshot());
        const outcomes = a.apply(i + 1, data);
        expect(b.apply(i + 1, data)).toEqual(outcomes);
        const kept = transactions.filter((_, at) => outcomes[at] === undefined);
        before.apply(i + 1, Batch.encode({ transactions: kept }).finish());
        expect(Buffer.compare(before.snapshot(), a.snapshot())).toBe(0);
        done += kept.length;
        refused += outcomes.length - kept.length;
        if (i === snapshotAt) {
          const copy = new Store();
          copy.restore(b.snapshot());
          b = copy;
        }
      }
      expect(Buffer.compare(a.snapshot(), b.snapshot())).toBe(0);
    }),
    { numRuns: 150 },
  );
  // Both happened often, or the test says nothing.
  expect(done).toBeGreaterThan(200);
  expect(refused).toBeGreaterThan(200);
});

test("changes are told so that a follower who keeps only them has all objects", () => {
  fc.assert(
    fc.property(batches, (entries) => {
      const store = new Store();
      const copy = new Map<string, unknown>();
      store.changes.subscribe(({ changed }) => {
        for (const { kind, id, before, after } of changed) {
          expect(copy.get(`${kind} ${id}`)).toBe(before);
          if (after === undefined) copy.delete(`${kind} ${id}`);
          else copy.set(`${kind} ${id}`, after);
        }
      });
      for (const [i, transactions] of entries.entries()) {
        store.apply(i + 1, Batch.encode({ transactions }).finish());
      }
      const { view } = store;
      const all = [...view.nodes(), ...view.networks(), ...view.endpoints()];
      const resting = [...view.networks()].flatMap((network) => [...view.resting(network.id)]);
      expect(new Set(copy.values())).toEqual(new Set([...all, ...resting]));
    }),
    { numRuns: 50 },
  );
});
