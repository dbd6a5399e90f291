import { expect, test } from "vitest";
import type { Clock } from "../../common/clock.js";
import { type Refusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { Role } from "../../proto/gen/types.js";
import { nodeCertificate } from "../../test/fakes/node-certificate.js";
import type { Issued, NodeIdentity } from "../seams.js";
import { IdentityLoop } from "./identity.js";

const HOUR_MS = 3_600_000;
const LIFE_MS = 90 * 24 * HOUR_MS;
const START_MS = Date.UTC(2026, 0, 1);

/** Sleeping is how time passes here. */
function passingClock() {
  const state = { nowMs: START_MS, longestMs: 0 };
  const clock: Clock = {
    nowMs: () => state.nowMs,
    monotonicMs: () => state.nowMs,
    every: () => () => {},
    async sleep(ms, signal) {
      await new Promise(setImmediate);
      signal.throwIfAborted();
      state.nowMs += ms;
      state.longestMs = Math.max(state.longestMs, ms);
    },
  };
  return { clock, state };
}

async function world(
  answer: (addr: string, nowMs: number) => Promise<Issued | Refusal>,
  alone?: (nowMs: number) => Promise<Issued | Refusal>,
  firstLifeMs = LIFE_MS,
) {
  const { clock, state } = passingClock();
  const issuedAt = (ms: number) => ({ notBeforeMs: ms - HOUR_MS, notAfterMs: ms + firstLifeMs });
  const first = await nodeCertificate({ nodeId: "me", role: "worker", ...issuedAt(START_MS) });
  const identity: NodeIdentity = { ...first, root: Buffer.from("root") };
  const seen: string[] = [];
  const stop = new AbortController();
  const loop = new IdentityLoop(identity, {
    door: {
      newKey: async () => Promise.reject(new Error("a renewal keeps its key")),
      join: async () => Promise.reject(new Error("a renewal joins nothing")),
      renew: (addr) => answer(addr, state.nowMs),
    },
    disk: {
      load: async () => undefined,
      unseal: async () => undefined,
      replaceKey: async () => undefined,
      sealWith: async () => {},
      save: async () => void seen.push("saved"),
      clear: async () => {},
    },
    clock,
    random: seededRandom(3),
    timing: DEFAULT_TIMING,
    log: silentLogger(),
    addresses: () => ["a", "b"],
    renewAlone: async () => alone?.(state.nowMs) ?? refuse("unavailable", "no manager here"),
    onChanged: async () => void seen.push("used"),
  });
  const issue = async (nowMs: number, lifeMs = LIFE_MS): Promise<Issued> => {
    const times = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + lifeMs };
    const made = await nodeCertificate({ nodeId: "me", role: "worker", ...times });
    const rest = {
      nodeId: "me",
      clusterId: "c",
      role: Role.WORKER,
      dataPathAddr: "",
      dataPathPort: 4789,
    };
    return { ...rest, certificate: made.certificate, root: Buffer.from("root") };
  };
  return { loop, state, seen, stop, issue, identity };
}

test("a certificate is renewed between half and 80 % of its life, saved before it is used", async () => {
  const renewals: number[] = [];
  const made = await world(async (_addr, nowMs) => {
    renewals.push((nowMs - (renewals.length === 0 ? START_MS : lastMs)) / LIFE_MS);
    lastMs = nowMs;
    if (renewals.length === 5) made.stop.abort();
    return made.issue(nowMs);
  });
  let lastMs = START_MS;
  await made.loop.run(made.stop.signal);
  for (const fraction of renewals) {
    expect(fraction).toBeGreaterThanOrEqual(0.5);
    expect(fraction).toBeLessThanOrEqual(0.8);
  }
  expect(made.seen.slice(0, 4)).toEqual(["saved", "used", "saved", "used"]);
  // Node's setTimeout fires at once for more than 2^31 ms.
  expect(made.state.longestMs).toBeLessThan(2 ** 31);
  expect(made.loop.current.key).toBe(made.identity.key);
});

test("when no manager renews it, that is a problem until one does", async () => {
  let asked = 0;
  const made = await world(async (addr, nowMs) => {
    asked++;
    if (asked <= 4) return refuse("unavailable", `no answer from ${addr}`);
    expect(made.loop.problem).toMatch(/could not be renewed: no answer from b/);
    made.stop.abort();
    return made.issue(nowMs);
  });
  await made.loop.run(made.stop.signal);
  expect(made.loop.problem).toBe("");
  expect(asked).toBe(5);
});

test("of an expired certificate it is told why it was not renewed, by who said so", async () => {
  const made = await world(async (addr, nowMs) => {
    if (nowMs > START_MS + 2 * LIFE_MS) made.stop.abort();
    made.state.nowMs += LIFE_MS / 2;
    if (addr === "b") return refuse("unavailable", "no answer");
    return refuse("permission-denied", "it has been over for 40 days");
  });
  await made.loop.run(made.stop.signal);
  expect(made.loop.problem).toMatch(/has expired, and was not renewed: it has been over for 40/);
});

test("when it is over and nobody can be asked, this node's own manager renews it", async () => {
  const made = await world(
    async () => {
      made.state.nowMs += LIFE_MS;
      return refuse("unavailable", "certificate has expired");
    },
    async (nowMs) => {
      made.stop.abort();
      return made.issue(nowMs);
    },
  );
  await made.loop.run(made.stop.signal);
  expect(made.loop.problem).toBe("");
  expect(made.seen).toEqual(["saved", "used"]);
});

test("when nobody can be asked, and its own manager may not renew it either, that one's reason is told", async () => {
  const made = await world(
    async () => {
      made.state.nowMs += LIFE_MS;
      if (made.state.nowMs > START_MS + 3 * LIFE_MS) made.stop.abort();
      return refuse("unavailable", "certificate has expired");
    },
    async () => refuse("permission-denied", "it has been over for 40 days"),
  );
  await made.loop.run(made.stop.signal);
  expect(made.loop.problem).toMatch(/has expired, and was not renewed: it has been over for 40/);
});

for (const aheadMs of [-600_000, 600_000, 12 * HOUR_MS]) {
  test(`with a clock ${aheadMs / 60_000} min ahead, half to 80 % of an hour pass between renewals`, async () => {
    const lives: number[] = [];
    let lastMs = 0;
    const answer = async (_addr: string, nowMs: number) => {
      lives.push((nowMs - lastMs) / HOUR_MS);
      lastMs = nowMs;
      if (lives.length === 6) made.stop.abort();
      return made.issue(nowMs - aheadMs, HOUR_MS);
    };
    const made = await world(answer, undefined, HOUR_MS);
    await made.loop.run(made.stop.signal);
    for (const life of lives.slice(1)) {
      expect(life).toBeGreaterThanOrEqual(0.49);
      expect(life).toBeLessThanOrEqual(0.81);
    }
  });
}
