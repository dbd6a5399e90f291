// Random lives of networks and endpoints against a slow twin that keeps lists and compares every pair.
import fc from "fast-check";
import { expect, test } from "vitest";
import { overlaps, parsePrefix } from "../../common/address.js";
import { isRefusal } from "../../common/fault.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { Store } from "../store/store.js";
import type { StoreView } from "../store/view.js";

const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("create" as const),
      size: fc.constantFrom(0, 24, 28, 29, 30),
      at: fc.nat(15),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), pick: fc.nat() }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("attach" as const),
      pick: fc.nat(),
      offset: fc.option(fc.nat(18), { freq: 4 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("detach" as const), pick: fc.nat() }) },
);

function pickFrom<T>(items: Iterable<T>, pick: number): T | undefined {
  const list = [...items];
  return list[pick % Math.max(list.length, 1)];
}

/** Compares every pair. */
function findDuplicate(view: StoreView): string | undefined {
  const networks = [...view.networks()];
  for (const [i, a] of networks.entries()) {
    for (const b of networks.slice(i + 1)) {
      if (a.vni === b.vni) return `VNI ${a.vni}`;
      for (const one of a.subnets.map((s) => parsePrefix(s.cidr))) {
        for (const two of b.subnets.map((s) => parsePrefix(s.cidr))) {
          if (one && two && overlaps(one, two)) return `subnets of ${a.id} and ${b.id}`;
        }
      }
    }
    const endpoints = [...view.endpointsOn(a.id)];
    for (const [j, one] of endpoints.entries()) {
      for (const two of endpoints.slice(j + 1)) {
        if (one.ipv4 === two.ipv4 || one.mac === two.mac) return `address ${one.ipv4}`;
      }
      const owned = a.subnets.some((subnet) => one.ipv4.startsWith(`${subnet.gateway}/`));
      if (owned) return `the gateway ${one.ipv4}`;
    }
  }
  return undefined;
}

/** What a person would count: hosts of the subnet that nobody holds. */
function freeCount(view: StoreView, networkId: string): number {
  const network = view.network(networkId);
  const hosts = (network?.subnets ?? []).reduce((sum, subnet) => {
    const length = parsePrefix(subnet.cidr)?.length ?? 32;
    return sum + 2 ** (32 - length) - 3;
  }, 0);
  return hosts - [...view.endpointsOn(networkId)].length;
}

test("nothing is given twice, a full network is really full, and a freed address waits its turn", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
      const swarm = new SwarmState({ pools: ["10.0.0.0/20"], subnetSize: 28 });
      const follower = new Store();
      let applied = 0;
      let made = 0;
      for (const each of steps) {
        if (each.do === "create") {
          const subnet = each.size === 0 ? "" : `10.0.${each.at}.0/${each.size}`;
          swarm.write((draft) =>
            swarm.createNetwork(draft, { name: `n${made++}`, ipam: [{ subnet }] }),
          );
        } else if (each.do === "drop") {
          const network = pickFrom(swarm.view.networks(), each.pick);
          if (network) swarm.removeNetwork(network.id);
        } else if (each.do === "attach") {
          const network = pickFrom(
            [...swarm.view.networks()].filter((n) => n.spec?.attachable),
            each.pick,
          );
          if (!network) continue;
          const free = freeCount(swarm.view, network.id);
          const rested = new Set([...swarm.view.resting(network.id)].map((q) => q.address));
          const [first] = network.subnets;
          const wanted =
            each.offset === null ? "" : (first?.cidr.replace(/\d+\/\d+$/, "") ?? "") + each.offset;
          const result = swarm.write((draft) =>
            swarm.attachIn(draft, network.id, { ipv4: wanted }),
          );
          if (wanted === "") {
            expect(isRefusal(result)).toBe(free === 0);
            if (isRefusal(result)) continue;
            const address = result.endpoint?.ipv4.split("/")[0] ?? "";
            // Only when all that is left rests.
            if (rested.has(address)) expect(free).toBe(rested.size);
          }
        } else {
          const endpoint = pickFrom(swarm.view.endpoints(), each.pick);
          if (endpoint) swarm.detach(endpoint);
        }
        expect(findDuplicate(swarm.view)).toBeUndefined();
      }
      // Another manager applies the log, half of it from a snapshot, and comes to the same bytes.
      const half = Math.floor(swarm.log.length / 2);
      for (const { index, data } of swarm.log) {
        follower.apply(index, data);
        if (++applied === half) {
          const restored = new Store();
          restored.restore(follower.snapshot());
          expect(Buffer.compare(restored.snapshot(), follower.snapshot())).toBe(0);
          follower.restore(follower.snapshot());
        }
      }
      expect(Buffer.compare(follower.snapshot(), swarm.store.snapshot())).toBe(0);
    }),
    { numRuns: 150 },
  );
});
