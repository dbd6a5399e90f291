import { expect, test } from "vitest";
import { type PeerName, PeerWatch, PROBE_WAYS, type ProbeWay } from "./peer-watch.js";

const H2: PeerName = { nodeId: "n2", hostname: "h2", address: "192.0.2.2", silent: false };
const ROUND_MS = 2_000;

/** Rounds of two seconds; `open` says which ways answer, `asks` whether the peer's own requests arrive. */
class Rounds {
  readonly watch = new PeerWatch();
  nowMs = 0;
  #round = 0;

  constructor(peer: PeerName = H2) {
    this.watch.set([peer], 0);
  }

  go(rounds: number, open: readonly ProbeWay[], asks = open.includes("data")): this {
    for (let n = 0; n < rounds; n++) {
      this.#round++;
      for (const way of PROBE_WAYS) {
        this.watch.sent(way, [H2.address], this.#round, this.nowMs);
        if (open.includes(way)) this.watch.answered(way, H2.address, this.#round, 100);
      }
      if (asks) this.watch.heard(H2.address, this.nowMs + 1_000);
      this.nowMs += ROUND_MS;
    }
    return this;
  }

  get kinds(): readonly string[] {
    return this.watch.troubles(this.nowMs).map(({ kind }) => kind);
  }
}

test("nothing is wrong with a peer that answers, and its round trip is known", () => {
  const rounds = new Rounds().go(20, ["underlay", "data"]);
  expect(rounds.kinds).toEqual([]);
  expect(rounds.watch.inDoubt).toBe(false);
  expect(rounds.watch.stats()).toMatchObject([{ data: { sent: 20, lost: 0, rttUs: 100 } }]);
});

test("who is heard on the port and does not answer does not hear", () => {
  const rounds = new Rounds().go(5, ["underlay", "data"]).go(4, ["underlay"], true);
  expect(rounds.kinds).toEqual(["not-heard"]);
});

test("who is not heard does not reach us", () => {
  const rounds = new Rounds().go(5, ["underlay", "data"]).go(4, ["underlay"], false);
  expect(rounds.kinds).toEqual(["not-hearing"]);
});

test("who answers nothing is away, and one that the leader does not hear either is the leader's to tell of", () => {
  expect(new Rounds().go(5, ["underlay", "data"]).go(4, []).kinds).toEqual(["away"]);
  expect(new Rounds({ ...H2, silent: true }).go(9, []).kinds).toEqual([]);
});

test("one or two that are lost bring doubt, and an answer ends it", () => {
  const rounds = new Rounds().go(5, ["underlay", "data"]).go(2, ["underlay"]);
  expect(rounds.watch.inDoubt).toBe(true);
  expect(rounds.kinds).toEqual([]);
  expect(rounds.go(1, ["underlay", "data"]).watch.inDoubt).toBe(false);
});

test("a machine that forbids pings is not away", () => {
  expect(new Rounds().go(9, ["data"]).kinds).toEqual([]);
});

test("frames lost now and then are told when a fifth of them is", () => {
  const rounds = new Rounds();
  for (let n = 0; n < 12; n++) rounds.go(1, ["underlay"], true).go(3, ["underlay", "data"]);
  expect(rounds.kinds).toEqual(["lossy"]);
  expect(rounds.go(40, ["underlay", "data"]).kinds).toEqual([]);
});

test("a peer that is new has some seconds to begin", () => {
  const rounds = new Rounds();
  expect(rounds.go(2, ["underlay"]).kinds).toEqual([]);
  expect(rounds.go(3, ["underlay"]).kinds).toEqual(["not-hearing"]);
});

test("where nothing can be sent, nothing is concluded; who is gone is forgotten", () => {
  const rounds = new Rounds().go(9, ["underlay"]);
  rounds.watch.unable("data");
  expect(rounds.kinds).toEqual([]);
  rounds.watch.set([], rounds.nowMs);
  expect(rounds.watch.stats()).toEqual([]);
});
