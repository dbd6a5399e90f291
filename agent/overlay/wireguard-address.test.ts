import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPrefix, networkOf } from "../../common/address.js";
import { wireguardAddress } from "./wireguard-address.js";

test("an address is the same for ever: another would cut a node off from those that run the older release", () => {
  expect(formatPrefix(wireguardAddress("swarm1", "node1"))).toBe(
    "fd4a:7776:46a4:d928:e5bd:8654:c116:ff56/64",
  );
});

test("nodes of a swarm share a unique local network, and nothing else", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (swarm, a, b) => {
      const [one, two] = [wireguardAddress(swarm, a), wireguardAddress(swarm, b)];
      expect(formatPrefix(networkOf(one))).toBe(formatPrefix(networkOf(two)));
      expect(formatPrefix(one)).toMatch(/^fd[0-9a-f]{2}:.*\/64$/);
      expect(formatPrefix(one) === formatPrefix(two)).toBe(a === b);
    }),
  );
});

test("two swarms on one wire do not meet", () => {
  const network = (swarm: string) => formatPrefix(networkOf(wireguardAddress(swarm, "n")));
  expect(network("a")).not.toBe(network("b"));
});
