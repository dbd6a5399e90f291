import { expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { WATCH_VNI } from "../../common/ids.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import type { Exchange, Offload } from "../overlay/offload-test.js";
import type { OffloadDoor } from "../seams.js";
import { Findings } from "./findings.js";
import { OffloadWatch } from "./offload-watch.js";

const ip = (text: string) => parseIp(text) as NonNullable<ReturnType<typeof parseIp>>;
const VNI = 4097;
const FINE: Exchange = { icmp: true, udp: "passed", tcp: "passed" };

/** `exchange`: what comes back, by what the nodes' own network's device leaves to the interface. */
function started(
  exchange: (has: (offload: Offload) => boolean) => Exchange,
  already: readonly Offload[] = [],
) {
  const clock = new ManualClock();
  const findings = new Findings(clock);
  const off = new Set<string>(already.map((offload) => `${WATCH_VNI} ${offload}`));
  let exchanges = 0;
  let told = 0;
  const door: OffloadDoor = {
    answer: () => {},
    async exchange() {
      exchanges++;
      return exchange((offload) => !off.has(`${WATCH_VNI} ${offload}`));
    },
    has: (vni, offload) => !off.has(`${vni} ${offload}`),
    set(vni, offload, on) {
      if (on) off.delete(`${vni} ${offload}`);
      else off.add(`${vni} ${offload}`);
    },
    close: () => {},
  };
  const peer = { nodeId: "node2", hostname: "h2", vtep: ip("192.0.2.2"), silent: false };
  const watch = new OffloadWatch({
    view: () => ({
      ...{ hostname: "h1", vtep: ip("192.0.2.1"), port: 4789 },
      ...{ peers: [peer], isHeard: true },
    }),
    vnis: () => [VNI],
    door,
    findings,
    clock,
    timing: DEFAULT_TIMING,
    log: silentLogger(),
    onOff: () => {
      told++;
    },
  });
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  return {
    clock,
    off: () => [...off].sort(),
    exchanges: () => exchanges,
    told: () => told,
    isMending: () => watch.isMending,
    says: () => findings.list().map(({ subject, where }) => `${subject}: ${where}`),
    async end() {
      stop.abort();
      await running;
    },
  };
}

test("what is well costs one exchange an hour", async () => {
  const { clock, exchanges, off, says, end } = started(() => FINE);
  await clock.advance(3_590_000);
  expect([exchanges(), off(), says()]).toEqual([1, [], []]);
  await clock.advance(20_000);
  expect(exchanges()).toBe(2);
  await end();
});

test("an interface that makes wrong checksums makes none any more, on our devices", async () => {
  const { clock, off, says, told, end } = started((has) =>
    has("checksum") ? { icmp: true, udp: "lost", tcp: "lost" } : FINE,
  );
  await clock.advance(3_000);
  expect(off()).toEqual([`${VNI} checksum`, `${WATCH_VNI} checksum`].sort());
  expect(says()).toEqual(["offload checksum: h1 → h2"]);
  expect(told(), "frames are to go by these devices").toBe(1);
  await end();
});

test("one that only cuts segments badly goes on making checksums", async () => {
  const { clock, off, says, end } = started((has) => ({
    ...FINE,
    tcp: has("segmentation") ? "lost" : "passed",
  }));
  await clock.advance(3_000);
  expect(off()).toEqual([`${VNI} segmentation`, `${WATCH_VNI} segmentation`].sort());
  expect(says()).toEqual(["offload segmentation: h1 → h2"]);
  await end();
});

test("what an earlier agent took from the interface stays with the processor", async () => {
  const { clock, off, says, isMending, end } = started(() => FINE, ["checksum", "segmentation"]);
  expect(isMending(), "from the beginning").toBe(true);
  await clock.advance(3_000);
  expect(off()).toContain(`${VNI} checksum`);
  expect(says()).toEqual(["offload checksum: h1"]);
  await end();
});

test("what does not help is not left off, and is said", async () => {
  const { clock, off, says, end } = started(() => ({ icmp: true, udp: "lost", tcp: "lost" }));
  await clock.advance(3_000);
  expect(off()).toEqual([]);
  expect(says()).toEqual(["peer node2 offload: h1 ↔ h2"]);
  await end();
});

test("a bad moment changes nothing", async () => {
  let left = 3;
  const { clock, off, says, end } = started(() =>
    left-- > 0 ? { icmp: true, udp: "lost", tcp: "lost" } : FINE,
  );
  await clock.advance(60_000);
  expect([off(), says()]).toEqual([[], []]);
  await end();
});

test("a peer that is away, or whose agent is, shows nothing", async () => {
  const { clock, exchanges, off, says, end } = started(() => ({
    icmp: true,
    udp: "refused",
    tcp: "refused",
  }));
  await clock.advance(600_000);
  expect([off(), says()]).toEqual([[], []]);
  expect(exchanges()).toBeLessThan(10);
  await end();
});
