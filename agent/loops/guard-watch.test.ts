import { expect, test } from "vitest";
import { silentLogger } from "../../common/log.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import type { RuleDrops } from "../guard/drops.js";
import type { Stranger } from "../guard/strangers.js";
import { Findings } from "./findings.js";
import { GuardWatch } from "./guard-watch.js";

const place = { kind: "network", vni: 4097 } as const;
const names = {
  endpoint: (id: string) => (id === "e1" ? "web.1" : undefined),
  network: () => ({ id: "n1", name: "shop" }),
};
const spoofed = (frames: number): RuleDrops => ({
  ...{ place, reason: "source-address-spoofed", subject: "e1", frames },
});

function watching() {
  const clock = new ManualClock();
  const findings = new Findings(clock);
  let drops: readonly RuleDrops[] = [];
  let strangers: readonly Stranger[] = [];
  const kernel = { drops: () => drops, strangers: () => strangers };
  const watch = new GuardWatch(kernel, names, findings, "h1", clock, silentLogger());
  const look = (now: readonly RuleDrops[], who: readonly Stranger[] = []) => {
    drops = now;
    strangers = who;
    watch.look();
    return findings.list().map(({ what }) => what);
  };
  return { clock, watch, look };
}

test("what an endpoint sent with others' addresses is said, with its name and how many, and for ten minutes", async () => {
  const { clock, look } = watching();
  expect(look([spoofed(0)])).toEqual([]);
  // Two rules of one endpoint may be about the same.
  const said = look([spoofed(5), spoofed(7)]);
  expect(said).toEqual([
    "Endpoint web.1 on h1 sent 12 frames with others' source addresses; they were dropped.",
  ]);
  await clock.advance(500_000);
  expect(look([spoofed(12)])).toEqual(said);
  await clock.advance(500_000);
  expect(look([spoofed(12)])).toEqual([]);
  expect(look([spoofed(13)])).toEqual([expect.stringContaining("sent 1 frame with")]);
});

test("a rule that was written anew counts on, and strangers are only said when they are many", () => {
  const { watch, look } = watching();
  look([spoofed(10)]);
  look([spoofed(3)]);
  expect(watch.read().drops).toEqual([
    { networkId: "n1", peer: "", reason: "source-address-spoofed", frames: 13 },
  ]);
  const stranger = { place: { kind: "host" } as const, reason: "not-a-peer", subject: "" };
  expect(look([spoofed(3), { ...stranger, frames: 19 }])).toHaveLength(1);
  expect(look([spoofed(3), { ...stranger, frames: 20 }])).toEqual([
    expect.stringContaining("13 frames"),
    expect.stringContaining("20 frames came to the data path port from machines that are not"),
  ]);
  expect(watch.read().drops).toContainEqual({
    ...{ networkId: "", peer: "", reason: "not-a-peer", frames: 20 },
  });
});

test("strangers are named, those with the most frames first, and a crowd by its size", () => {
  const { look } = watching();
  const drop = { place: { kind: "host" } as const, reason: "not-a-peer", subject: "", frames: 90 };
  const from = (n: number, frames: number): Stranger => ({
    ...{ reason: "not-a-peer", address: `192.0.2.${n}`, vni: 4097, frames },
  });
  expect(look([drop], [from(8, 10), from(9, 80)])).toEqual([
    "90 frames came to the data path port from machines that are not nodes of their network; they were dropped. " +
      "They came from 192.0.2.9 (80, network shop) and 192.0.2.8 (10, network shop).",
  ]);
  const crowd = Array.from({ length: 7 }, (_, i) => from(i, 10 + i));
  expect(look([drop], crowd)).toEqual([
    expect.stringContaining("192.0.2.2 (12, network shop) and 2 more."),
  ]);
  // A packet filter that notes nobody.
  expect(look([drop])).toEqual([expect.stringMatching(/they were dropped\.$/)]);
});

test("frames of a VNI that is not here are no finding, and said: another program may have it", () => {
  const { watch, look } = watching();
  const stranger = { reason: "unknown-vni", address: "2001:db8::9", vni: 4242 } as const;
  expect(look([], [{ ...stranger, frames: 3 }])).toEqual([]);
  expect(watch.notes()).toEqual([]);
  expect(look([], [{ ...stranger, frames: 30 }])).toEqual([]);
  expect(watch.notes()).toEqual([
    "30 frames came from 2001:db8::9 for VNI 4242, which no network here has: another program's, or a swarm's whose data path port this is too.",
  ]);
});
