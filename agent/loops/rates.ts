// Who on a network sends how much to whom: each second, the kernel's counts of the ports of this node's endpoints,
// which are exact, and the pairs in the frames that could be looked at, which are made to stand for all.
import type { Clock } from "../../common/clock.js";
import type {
  DropCount,
  InquiryPart,
  PairRate,
  PortRate,
  Rates,
  RatesInquiry,
} from "../../proto/gen/control.js";
import type { Network } from "../../proto/gen/types.js";
import { type FrameFacts, factsOf } from "../overlay/frame-facts.js";
import { isPort, portName } from "../reconcile/names.js";
import type { DataPathCounters, FrameTap, LinkCounters, Watcher } from "../seams.js";
import { notHere } from "./capture.js";
import type { Member } from "./member.js";

// Ethernet with a tag, IPv6, and the ports: 14 + 4 + 40 + 4.
const SNAP_BYTES = 64;
// Choices: how many frames are looked at in a second at most, and at once. Looking costs some 5 µs a frame.
const FRAMES_A_SECOND_MAX = 20_000;
const FRAMES_A_LOOK = 500;
const LOOK_MS = 20;
/** Pairs that are told apart; the rest is one. */
const PAIRS_MAX = 500;
const INTERVAL_MS = 1_000;
const INTERVAL_MAX_MS = 60_000;

export interface RateTools {
  readonly watcher: Watcher;
  readonly clock: Clock;
  readonly member: () => Member | undefined;
  readonly counters: () => readonly DataPathCounters[];
}

export async function* measureRates(
  tools: RateTools,
  network: Network,
  asked: RatesInquiry,
  signal: AbortSignal,
): AsyncGenerator<InquiryPart["part"]> {
  const { watcher, clock } = tools;
  const wishMs = asked.intervalMs === 0 ? INTERVAL_MS : asked.intervalMs;
  const intervalMs = Math.min(Math.max(wishMs, LOOK_MS), INTERVAL_MAX_MS);
  const tap = watcher.tapNetwork(network.vni, { snapBytes: SNAP_BYTES, incomingOnly: true });
  if (tap === undefined) throw notHere();
  try {
    let ports = watcher.counters(network.vni) ?? [];
    let drops = dropsOf(tools, network, ports);
    let fromMs = clock.monotonicMs();
    let counts = tap.counts();
    while (!signal.aborted) {
      const pairs = await lookAt(tap, clock, fromMs + intervalMs, signal);
      if (signal.aborted) return;
      const now = { ports: watcher.counters(network.vni), counts: tap.counts() };
      if (now.ports === undefined) throw notHere();
      const nowDrops = dropsOf(tools, network, now.ports);
      const nowMs = clock.monotonicMs();
      const lookedAt = now.counts.read - counts.read;
      // What waited from before is no more than what has come.
      const came = Math.max(lookedAt, now.counts.came - counts.came);
      const value: Rates = {
        intervalMs: nowMs - fromMs,
        ports: portRates(tools, network, ports, now.ports),
        pairs: pairs.told(lookedAt === 0 ? 1 : came / lookedAt),
        drops: nowDrops.map((drop) => ({ ...drop, more: drop.count - countBefore(drops, drop) })),
        lookedAt,
        came,
      };
      yield { $case: "rates", value };
      ports = now.ports;
      drops = nowDrops;
      counts = now.counts;
      fromMs = nowMs;
    }
  } finally {
    tap.close();
  }
}

async function lookAt(
  tap: FrameTap,
  clock: Clock,
  untilMs: number,
  signal: AbortSignal,
): Promise<Pairs> {
  const pairs = new Pairs();
  for (let left = FRAMES_A_SECOND_MAX; ; ) {
    const leftMs = untilMs - clock.monotonicMs();
    if (leftMs <= 0 || signal.aborted) return pairs;
    const frames = left > 0 ? tap.read(Math.min(left, FRAMES_A_LOOK)) : [];
    left -= frames.length;
    for (const { data, length, device, outgoing } of frames) {
      // What an endpoint here sent; what comes from elsewhere is counted there.
      if (!outgoing && isPort(device)) pairs.add(factsOf(data), length);
    }
    const pauseMs = frames.length === FRAMES_A_LOOK ? 1 : LOOK_MS;
    await clock.sleep(Math.min(pauseMs, leftMs), signal).catch(() => {});
  }
}

class Pairs {
  readonly #pairs = new Map<string, { from: string; to: string; frames: number; bytes: number }>();

  add(facts: FrameFacts | undefined, length: number): void {
    const from = facts?.ip?.from ?? facts?.arp?.fromIp ?? "";
    const to = facts?.ip?.to ?? facts?.arp?.toIp ?? "";
    const key = `${from} ${to}`;
    const known = this.#pairs.get(key);
    const isFull = known === undefined && this.#pairs.size >= PAIRS_MAX;
    const ends = isFull ? { key: " ", from: "", to: "" } : { key, from, to };
    const pair = this.#pairs.get(ends.key) ?? { from: ends.from, to: ends.to, frames: 0, bytes: 0 };
    this.#pairs.set(ends.key, pair);
    pair.frames++;
    pair.bytes += length;
  }

  told(scale: number): PairRate[] {
    return [...this.#pairs.values()].map(({ from, to, frames, bytes }) => ({
      from,
      to,
      frames: frames * scale,
      bytes: bytes * scale,
    }));
  }
}

function portRates(
  { member }: RateTools,
  network: Network,
  before: readonly LinkCounters[],
  now: readonly LinkCounters[],
): PortRate[] {
  const endpoints = member()?.held.current.endpoints ?? [];
  const byPort = new Map(
    endpoints
      .filter(({ networkId }) => networkId === network.id)
      .map(({ id }) => [portName(id), id]),
  );
  return now.flatMap((port) => {
    const endpointId = byPort.get(port.name);
    if (endpointId === undefined) return [];
    const had = before.find(({ name }) => name === port.name);
    // A port that was made anew counts from nothing.
    const since = (of: (counters: LinkCounters) => number) =>
      Math.max(0, of(port) - (had === undefined ? of(port) : Math.min(of(had), of(port))));
    return [
      {
        endpointId,
        sentFrames: since(({ sentFrames }) => sentFrames),
        sentBytes: since(({ sentBytes }) => sentBytes),
        gotFrames: since(({ gotFrames }) => gotFrames),
        gotBytes: since(({ gotBytes }) => gotBytes),
      },
    ];
  });
}

/** What the devices of the network's namespace dropped, and what the data paths say that they did. */
function dropsOf(
  { counters }: RateTools,
  network: Network,
  ports: readonly LinkCounters[],
): DropCount[] {
  const devices = ports.flatMap(({ name, sentDropped, gotDropped }) => [
    { reason: "dropped-on-receipt", where: name, count: sentDropped, more: 0 },
    { reason: "dropped-on-sending", where: name, count: gotDropped, more: 0 },
  ]);
  const paths = counters().flatMap((each) =>
    each
      .read()
      .drops.filter(({ networkId }) => networkId === network.id || networkId === "")
      .map(({ reason, peer, frames }) => ({
        reason,
        where: peer === "" ? each.source : `${each.source}, ${peer}`,
        count: frames,
        more: 0,
      })),
  );
  return [...devices, ...paths].filter(({ count }) => count > 0);
}

function countBefore(drops: readonly DropCount[], { reason, where, count }: DropCount): number {
  const had = drops.find((each) => each.reason === reason && each.where === where);
  return had === undefined ? 0 : Math.min(had.count, count);
}
