import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Endpoint, Network } from "../../proto/gen/types.js";
import { portName } from "../reconcile/names.js";
import type { DataPathCounters, FrameTap, LinkCounters, TappedFrame, Watcher } from "../seams.js";
import type { Member } from "./member.js";
import { measureRates } from "./rates.js";

const PORT = portName("e1");
const ARP = Buffer.from(
  "ffffffffffff02420a00010208060001080006040001" + "02420a0001020a0001020000000000000a000103",
  "hex",
);
const frame = (device: string, length: number): TappedFrame => ({
  ...{ seconds: 0, nanoseconds: 0, data: ARP, outgoing: false },
  ...{ device, length },
});

test("pairs are of what an endpoint here sent and stand for all that came, endpoints are the kernel's counts", async () => {
  const came = [frame(PORT, 42), frame(PORT, 58), frame("vxlan0", 1_000)];
  let looks = 0;
  const tap: FrameTap = {
    read: (max) => came.splice(0, max),
    // Twice as many came as could be looked at.
    counts: () =>
      looks++ === 0 ? { came: 0, read: 0, dropped: 0 } : { came: 6, read: 3, dropped: 3 },
    close: () => {},
  };
  const counters = (sentFrames: number): LinkCounters => ({
    ...{ name: PORT, sentFrames, sentBytes: 100 * sentFrames, gotFrames: 7, gotBytes: 70 },
    ...{ sentDropped: sentFrames - 10, gotDropped: 0 },
  });
  const kernel = [counters(10), counters(14)];
  const watcher = {
    tapNetwork: () => tap,
    counters: () => [kernel.shift() ?? counters(14)],
  } as unknown as Watcher;
  const guard: DataPathCounters = {
    source: "filter",
    read: () => ({
      traffic: [],
      drops: [
        { networkId: "n", peer: "192.0.2.2", reason: "source-spoofed", frames: 3 },
        { networkId: "other", peer: "", reason: "queue-full", frames: 9 },
      ],
    }),
  };
  const held = { current: { endpoints: [Endpoint.create({ id: "e1", networkId: "n" })] } };
  const tools = {
    ...{ watcher, clock: systemClock, counters: () => [guard] },
    member: () => ({ held }) as unknown as Member,
  };
  const network = Network.create({ id: "n", vni: 4_097 });
  const stop = new AbortController();
  const asked = { networkId: "n", intervalMs: 50 };
  const parts = measureRates(tools, network, asked, stop.signal);
  expect((await parts.next()).value).toMatchObject({
    $case: "rates",
    value: {
      pairs: [{ from: "10.0.1.2", to: "10.0.1.3", frames: 4, bytes: 200 }],
      ports: [{ endpointId: "e1", sentFrames: 4, sentBytes: 400, gotFrames: 0, gotBytes: 0 }],
      drops: [
        { reason: "dropped-on-receipt", where: PORT, count: 4, more: 4 },
        { reason: "source-spoofed", where: "filter, 192.0.2.2", count: 3, more: 0 },
      ],
      lookedAt: 3,
      came: 6,
    },
  });
  stop.abort();
  expect((await parts.next()).done).toBe(true);
});
