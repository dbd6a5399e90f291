// Watches the peers of this node's networks: every two seconds each is asked on the underlay and on the data path
// port, more often while there is doubt. What is wrong is reported as findings; what is measured is there for metrics.
import { formatIp, type Ip, parseIp } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { dataPathPorts } from "../member/data-path-port.js";
import { type PeerStats, PeerWatch, PROBE_WAYS, type ProbeWay } from "../overlay/peer-watch.js";
import { type WatchedPeer, watchedPeers } from "../reconcile/watch-want.js";
import type { Finding, MachineDoor, PeerProber } from "../seams.js";
import type { Findings } from "./findings.js";
import { peerFinding, sourceFinding } from "./peer-words.js";

// Choice: with more peers they take turns, so that watching costs the same with a thousand.
const ASKED_A_ROUND = 64;
// Of Timing.resyncMs: 2 s and, in doubt, 0.5 s. A port that is filtered is known after a round and three doubtful ones.
const ROUNDS_A_RESYNC = 5;
const DOUBTFUL_ROUNDS_A_RESYNC = 20;
const SOURCES_EVERY_ROUNDS = 3;
const ROUND_MAX = 0xffff_ffff;

/** Who this node is on the data path, and whom it shares networks with. */
export interface PeerView {
  readonly hostname: string;
  readonly vtep: Ip;
  readonly port: number;
  readonly peers: readonly WatchedPeer[];
  /** A manager hears this node now. */
  readonly isHeard: boolean;
}

export type PeerProbers = Readonly<Record<ProbeWay, PeerProber>>;

/** This node's part in the swarm. */
export interface PeersMember {
  readonly record: {
    readonly nodeId: string;
    readonly dataPathAddr: string;
    readonly dataPathPort: number;
  };
  readonly held: { readonly current: Assignments };
  readonly session: { readonly kind: string };
}

export interface PeersDeps {
  /** Undefined: this node is in no swarm. */
  readonly view: () => PeerView | undefined;
  readonly probers: PeerProbers;
  readonly machine: Pick<MachineDoor, "sourceTowards">;
  readonly findings: Findings;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "resyncMs">;
  readonly log: Logger;
}

/** Worked out again only when something else has been told: there may be many endpoints. */
export function peerViews(
  hostname: string,
  member: () => PeersMember | undefined,
): () => PeerView | undefined {
  let told: Assignments | undefined;
  let known: PeerView | undefined;
  return () => {
    const now = member();
    const vtep = parseIp(now?.record.dataPathAddr ?? "");
    if (now === undefined || vtep === undefined) return undefined;
    const { record, held } = now;
    const isHeard = now.session.kind === "open";
    const isSame = held.current === told && known && formatIp(known.vtep) === formatIp(vtep);
    if (isSame && known) return { ...known, isHeard };
    told = held.current;
    const port = dataPathPorts(now).port;
    const peers = watchedPeers(told, { nodeId: record.nodeId, vtep });
    known = { hostname, vtep, port, peers, isHeard };
    return known;
  };
}

export class Peers {
  readonly #watch = new PeerWatch();
  #round = 0;
  #turn = 0;
  /** Of the routes to the peers: looked at less often. */
  #sources: readonly Finding[] = [];

  constructor(private readonly deps: PeersDeps) {}

  stats(): readonly PeerStats[] {
    return this.#watch.stats();
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { clock, timing, probers, log } = this.deps;
    while (!signal.aborted) {
      await this.#look().catch((error: unknown) =>
        log.warn({ err: messageOf(error) }, "peers not watched this time"),
      );
      const rounds = this.#watch.inDoubt ? DOUBTFUL_ROUNDS_A_RESYNC : ROUNDS_A_RESYNC;
      await clock.sleep(timing.resyncMs / rounds, signal).catch(() => {});
    }
    for (const way of PROBE_WAYS) probers[way].close();
  }

  async #look(): Promise<void> {
    const { view, clock, findings } = this.deps;
    const now = view();
    const peers = now?.peers ?? [];
    const names = peers.map(({ vtep, ...peer }) => ({ ...peer, address: formatIp(vtep) }));
    this.#watch.set(names, clock.monotonicMs());
    if (now === undefined || peers.length === 0) {
      findings.report("peers", []);
      return;
    }
    this.#hear();
    this.#ask(now);
    if (this.#round % SOURCES_EVERY_ROUNDS === 1) await this.#lookAtSources(now);
    const troubles = this.#watch.troubles(clock.monotonicMs());
    const words = troubles.map((trouble) => peerFinding(trouble, now));
    findings.report("peers", [...words, ...this.#sources]);
  }

  #hear(): void {
    const nowMs = this.deps.clock.monotonicMs();
    for (const way of PROBE_WAYS) {
      const { answers, heard } = this.deps.probers[way].news();
      for (const { address, round, rttUs } of answers) {
        this.#watch.answered(way, address, round, rttUs);
      }
      if (way === "data") for (const address of heard) this.#watch.heard(address, nowMs);
    }
  }

  #ask({ vtep, peers }: PeerView): void {
    this.#round = (this.#round % ROUND_MAX) + 1;
    const from = this.#turn % peers.length;
    const count = Math.min(ASKED_A_ROUND, peers.length);
    this.#turn = from + count;
    const targets = [...peers.slice(from, from + count), ...peers.slice(0, from)].slice(0, count);
    const addresses = targets.map((peer) => peer.vtep);
    const texts = addresses.map(formatIp);
    for (const way of PROBE_WAYS) {
      // Sent before it is asked, so that what is judged by it is never later than the request.
      const sentMs = this.deps.clock.monotonicMs();
      const can = this.deps.probers[way].ask(this.#round, vtep, addresses);
      if (can) this.#watch.sent(way, texts, this.#round, sentMs);
      else this.#watch.unable(way);
    }
  }

  /** Whether what this machine sends to a peer would leave with another address than its frames have. */
  async #lookAtSources(now: PeerView): Promise<void> {
    const found: Finding[] = [];
    for (const peer of now.peers.slice(0, ASKED_A_ROUND)) {
      const source = await this.deps.machine.sourceTowards(formatIp(peer.vtep));
      const finding = sourceFinding(source, peer, now);
      if (finding !== undefined) found.push(finding);
    }
    this.#sources = found;
  }
}
