// What is known of the peers by asking them: round by round, each is sent an echo request on the underlay and one on
// the data path, and what comes back, and who asks here, says what is wrong between whom and whom. No clock, no I/O.
//
// A request on the data path is a frame of the nodes' own network (probe-address.ts); the peer's kernel answers. When
// none is answered, the peer's own requests tell the way: who is heard but does not answer does not hear.

/** On which way: the machines' own network, or the data path port. */
export type ProbeWay = "underlay" | "data";
export const PROBE_WAYS: readonly ProbeWay[] = ["underlay", "data"];

export interface PeerName {
  readonly nodeId: string;
  readonly hostname: string;
  /** VTEP, as text: the address of both requests. */
  readonly address: string;
  /** The leader has not heard of it for a while: what is wrong with it is said there. */
  readonly silent: boolean;
}

/** What one way to one peer is like. */
export interface WayStats {
  readonly sent: number;
  readonly lost: number;
  /** Microseconds, smoothed; undefined: nothing has come back for the last requests. */
  readonly rttUs: number | undefined;
}

export interface PeerStats extends PeerName {
  readonly underlay: WayStats;
  readonly data: WayStats;
}

export type PeerTrouble =
  /** What this node sends to the data path port of the peer does not arrive. */
  | { readonly kind: "not-heard"; readonly peer: PeerName }
  /** What the peer sends does not arrive here. */
  | { readonly kind: "not-hearing"; readonly peer: PeerName }
  /** It answers neither way. */
  | { readonly kind: "away"; readonly peer: PeerName }
  /** Some of the frames of the last rounds are lost on the data path. */
  | {
      readonly kind: "lossy";
      readonly peer: PeerName;
      readonly lost: number;
      readonly sent: number;
    };

// Choice: one or two may be lost on any network; three in a row are not by chance.
const MISSES = 3;
// Choice: of this many last requests; a fifth of them lost is what people feel.
const WINDOW = 40;
const LOSSY = 0.2;
// A request in the air when a filter came down may still be heard after the first that was lost.
const OVERLAP_MS = 500;
// Choice: a node that has just been told of us may not have its devices yet.
const NEW_MS = 5_000;
// RFC 6298's weight of a new measurement; of a shorter one more, for the first may have waited for a path to be made.
const SMOOTHING = 1 / 8;
const SHORTER = 1 / 2;

interface Way {
  /** Round of the last request; 0: none yet. */
  round: number;
  sent: number;
  lost: number;
  /** Consecutive requests without an answer. */
  misses: number;
  /** When the first of them was sent. */
  firstMissMs: number;
  answered: boolean;
  rttUs: number | undefined;
  /** Of the last requests, true: answered. */
  readonly window: boolean[];
}

interface Peer {
  name: PeerName;
  readonly sinceMs: number;
  readonly underlay: Way;
  readonly data: Way;
  /** When its own request was last heard on the data path. */
  heardMs: number;
}

export class PeerWatch {
  readonly #peers = new Map<string, Peer>();

  /** Who is watched from now on. */
  set(peers: readonly PeerName[], nowMs: number): void {
    const wanted = new Map(peers.map((peer) => [peer.address, peer]));
    for (const [address, { name }] of this.#peers) {
      // Another node with this address begins anew.
      if (wanted.get(address)?.nodeId !== name.nodeId) this.#peers.delete(address);
    }
    for (const name of peers) {
      const known = this.#peers.get(name.address);
      if (known !== undefined) known.name = name;
      else this.#peers.set(name.address, newPeer(name, nowMs));
    }
  }

  /** A request goes to each of these now; what was asked before and has not been answered by now is lost. */
  sent(way: ProbeWay, addresses: readonly string[], round: number, sentMs: number): void {
    for (const address of addresses) {
      const known = this.#peers.get(address)?.[way];
      if (known === undefined) continue;
      settle(known);
      known.round = round;
      known.sent++;
      known.answered = false;
      if (known.misses === 0) known.firstMissMs = sentMs;
    }
  }

  /** An answer to the request of this round; one that is late still says that the way is open. */
  answered(way: ProbeWay, address: string, round: number, rttUs: number): void {
    const known = this.#peers.get(address)?.[way];
    if (known === undefined || round > known.round) return;
    known.misses = 0;
    if (round !== known.round) return;
    known.answered = true;
    const before = known.rttUs ?? rttUs;
    known.rttUs = before + (rttUs < before ? SHORTER : SMOOTHING) * (rttUs - before);
  }

  /** A request of the peer's came on the data path. */
  heard(address: string, nowMs: number): void {
    const peer = this.#peers.get(address);
    if (peer !== undefined) peer.heardMs = nowMs;
  }

  /** Nothing could be sent this way, for a reason that is told elsewhere. */
  unable(way: ProbeWay): void {
    for (const peer of this.#peers.values()) {
      const known = peer[way];
      known.misses = 0;
      known.answered = true;
      known.rttUs = undefined;
    }
  }

  /** Whether somebody has missed too few requests to say so: the next round is better soon. */
  get inDoubt(): boolean {
    return [...this.#peers.values()].some(
      ({ data, underlay }) => inDoubt(data) || (inDoubt(underlay) && data.misses > 0),
    );
  }

  stats(): readonly PeerStats[] {
    return [...this.#peers.values()].map(({ name, underlay, data }) => ({
      ...name,
      underlay: statsOf(underlay),
      data: statsOf(data),
    }));
  }

  troubles(nowMs: number): readonly PeerTrouble[] {
    return [...this.#peers.values()].flatMap((peer): PeerTrouble[] => {
      const { name, data, underlay, heardMs, sinceMs } = peer;
      // One that was never heard of may still be on its way.
      const isNew = data.rttUs === undefined && nowMs - sinceMs < NEW_MS;
      if (name.silent || isNew) return [];
      if (data.misses < MISSES) return lossOf(name, data);
      if (underlay.misses >= MISSES) return [{ kind: "away", peer: name }];
      // While one is not yet sure of the underlay, nothing is said about the port.
      if (underlay.misses > 0) return [];
      const hears = heardMs > data.firstMissMs + OVERLAP_MS;
      return [{ kind: hears ? "not-heard" : "not-hearing", peer: name }];
    });
  }
}

function newPeer(name: PeerName, nowMs: number): Peer {
  const heardMs = Number.NEGATIVE_INFINITY;
  return { name, sinceMs: nowMs, underlay: newWay(), data: newWay(), heardMs };
}

function newWay(): Way {
  return {
    round: 0,
    sent: 0,
    lost: 0,
    misses: 0,
    firstMissMs: 0,
    answered: true,
    rttUs: undefined,
    window: [],
  };
}

/** What became of the last request. */
function settle(way: Way): void {
  if (way.round === 0) return;
  way.window.push(way.answered);
  if (way.window.length > WINDOW) way.window.shift();
  if (way.answered) return;
  way.lost++;
  way.misses++;
  if (way.misses >= MISSES) way.rttUs = undefined;
}

function inDoubt({ misses }: Way): boolean {
  return misses > 0 && misses < MISSES;
}

function statsOf({ sent, lost, rttUs }: Way): WayStats {
  return { sent, lost, rttUs };
}

function lossOf(peer: PeerName, { window }: Way): PeerTrouble[] {
  const lost = window.filter((answered) => !answered).length;
  if (window.length < WINDOW || lost < WINDOW * LOSSY) return [];
  return [{ kind: "lossy", peer, lost, sent: window.length }];
}
