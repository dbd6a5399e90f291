import { expect, test } from "vitest";
import { type Prefix, parsePrefix } from "../../common/address.js";
import { foreignDrops } from "./foreign-drops.js";
import type { BridgeWant } from "./local-want.js";

const bridge = (device: string, address: string, internal = false): BridgeWant => ({
  networkId: device,
  name: device,
  device,
  mtuBytes: 1500,
  addresses: [parsePrefix(address) as Prefix],
  internal,
  icc: true,
  masquerade: true,
  locals: [],
});
const HAVE = { forwardDrops: ["ip filter FORWARD", "ip6 filter FORWARD"] };

test("a chain of IPv6 is in the way of bridges with IPv6 only", () => {
  const v4 = bridge("skein0", "172.17.0.1/16");
  expect(foreignDrops([v4], HAVE)).toEqual({ chains: "ip filter FORWARD", devices: "skein0" });
  expect(foreignDrops([v4, bridge("skein1", "fd00::1/64")], HAVE)).toEqual({
    chains: "ip filter FORWARD, ip6 filter FORWARD",
    devices: "skein0, skein1",
  });
});

test("an internal bridge forwards nothing that could be dropped", () => {
  expect(foreignDrops([bridge("skein0", "172.17.0.1/16", true)], HAVE)).toBeUndefined();
});

test("where nothing was found, nothing is in the way", () => {
  expect(foreignDrops([bridge("skein0", "172.17.0.1/16")], undefined)?.chains).toBe("");
});
