// Knows how large a packet reaches each peer, and tells who makes the networks' devices. Asks when a peer is new, when
// the kernel reports a change or has learned of a smaller link, when a packet of the known size stays unanswered,
// and now and then whether there is room for more. `agent/overlay/path-search.ts` and `path-table.ts` decide.
import { formatIp, type Ip, parseIp } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { Signal, type Unsubscribe } from "../../common/watch.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { dataPathPorts } from "../member/data-path-port.js";
import { SMALLEST_PATH_BYTES } from "../overlay/mtu.js";
import {
  type PathLimits,
  PathSearch,
  type PathVerdict,
  type RoundAnswer,
} from "../overlay/path-search.js";
import { PathTable, type PeerPath } from "../overlay/path-table.js";
import { measuredPaths } from "../reconcile/path-want.js";
import type { PathProber } from "../seams.js";
import type { Findings } from "./findings.js";
import { pathFindings } from "./path-findings.js";

// Choice: who did not answer three packets, sent over this part of a dial, is not there. An RTT is far below.
const TRIES = 3;
const TIMEOUT_PART = 1 / 8;
// Choice: so many peers in one round; the slowest of them is waited for.
const PEERS_AT_ONCE = 64;
// Choice, in resyncs (of ten seconds): a check each, a look for a larger path after one minute to one hour, and what
// was known of a silent peer counts for ten minutes.
const RAISE_MIN = 6;
const RAISE_MAX = 360;
const FORGET = 60;
/** Looks at the table are this much more frequent than checks. */
const TICKS_A_RESYNC = 10;

/** What the loop needs of this node's part in the swarm; undefined while it has none. */
export interface PathMember {
  readonly record: {
    readonly nodeId: string;
    readonly dataPathAddr: string;
    readonly dataPathPort: number;
  };
  readonly held: { readonly current: Assignments };
}

export interface PathMtuDeps {
  readonly hostname: string;
  readonly member: () => PathMember | undefined;
  readonly prober: PathProber;
  /** The largest packet to each VTEP, in bytes, by its text; of those of which it is known. */
  readonly setPaths: (paths: ReadonlyMap<string, number>) => void;
  /** `measured` answers otherwise than before. */
  readonly remeasured: () => void;
  /** Calls back when peers, or what the kernel knows of the way to them, may have changed. */
  readonly follow: (listener: () => void) => Unsubscribe;
  readonly findings: Findings;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "resyncMs" | "dialMs">;
  readonly log: Logger;
}

export class PathMtu {
  readonly #table: PathTable;
  readonly #wake = new Signal();
  #vtep: Ip | undefined;
  #port = 0;
  /** Peers that answer on the data path alone. */
  readonly #tunnelled = new Set<string>();
  #peers: ReadonlyMap<string, Ip> = new Map();
  #ways: ReadonlyMap<string, string> = new Map();
  #lookAtMs = Number.NEGATIVE_INFINITY;
  #told: ReadonlyMap<string, PeerPath> = new Map();
  #measured: Readonly<Record<string, number>> = {};

  constructor(private readonly deps: PathMtuDeps) {
    const { resyncMs } = deps.timing;
    this.#table = new PathTable({
      checkMs: resyncMs,
      raiseMinMs: RAISE_MIN * resyncMs,
      raiseMaxMs: RAISE_MAX * resyncMs,
      forgetMs: FORGET * resyncMs,
    });
  }

  /** By network: what this node tells the others of its paths. */
  get measured(): Readonly<Record<string, number>> {
    return this.#measured;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, timing, log } = this.deps;
    const unfollow = this.deps.follow(() => {
      this.#lookAtMs = Number.NEGATIVE_INFINITY;
      this.#wake.notify();
    });
    const untick = clock.every(timing.resyncMs / TICKS_A_RESYNC, () => this.#wake.notify());
    try {
      while (!signal.aborted) {
        try {
          await this.#turn(signal);
        } catch (error) {
          if (!signal.aborted) log.warn({ err: messageOf(error) }, "path MTU not measured");
        }
        await this.#wake.wait(signal).catch(() => {});
      }
    } finally {
      untick();
      unfollow();
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { clock, timing } = this.deps;
    const nowMs = clock.monotonicMs();
    if (nowMs >= this.#lookAtMs) {
      this.#lookAtMs = nowMs + timing.resyncMs;
      this.#look(nowMs);
    }
    const { check } = this.#table.due(nowMs);
    for (const part of inParts(check)) await this.#check(part, signal);
    const { search } = this.#table.due(clock.monotonicMs());
    for (const part of inParts(search)) await this.#search(part, signal);
    if (!signal.aborted) this.#tell();
  }

  /** Who the peers are, and what the kernel says of the ways to them. */
  #look(nowMs: number): void {
    const member = this.deps.member();
    this.#vtep = member && parseIp(member.record.dataPathAddr);
    this.#port = member ? dataPathPorts(member).port : 0;
    const peers = new Map<string, Ip>();
    const ways = new Map<string, string>();
    const limits = new Map<string, PathLimits>();
    for (const { nodeId, dataPathAddr } of member?.held.current.peers ?? []) {
      const ip = parseIp(dataPathAddr);
      if (ip === undefined || ip.family !== this.#vtep?.family) continue;
      if (nodeId === member?.record.nodeId || peers.has(formatIp(ip))) continue;
      const known = this.deps.prober.known(this.#vtep, ip);
      if (known === undefined) continue;
      const key = formatIp(ip);
      const { largestBytes, learnedBytes, way } = known;
      peers.set(key, ip);
      ways.set(key, way);
      if (this.#ways.get(key) !== way) this.#table.suspect(key, nowMs);
      limits.set(key, { smallestBytes: SMALLEST_PATH_BYTES[ip.family], largestBytes });
      const before = this.#table.known(key);
      if (before !== undefined && (learnedBytes ?? before.mtuBytes) < before.mtuBytes)
        this.#table.suspect(key, nowMs);
    }
    this.#peers = peers;
    this.#ways = ways;
    this.#table.keep(limits, nowMs);
  }

  async #check(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const sizes = new Map<string, readonly number[]>();
    for (const key of keys) {
      const path = this.#table.known(key);
      if (path !== undefined) sizes.set(key, [path.mtuBytes]);
    }
    const answers = await this.#send(sizes, this.#tunnelled, signal);
    if (signal.aborted) return;
    const nowMs = this.deps.clock.monotonicMs();
    for (const [key, { passed }] of answers) this.#table.checked(key, passed.length > 0, nowMs);
  }

  /** Who is silent is asked in the other manner too: plainly, or on the data path. */
  async #search(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const silent: string[] = [];
    for (const [key, verdict] of await this.#searchAs(keys, this.#tunnelled, signal)) {
      if (verdict.kind === "silent") silent.push(key);
      else this.#table.found(key, verdict, this.deps.clock.monotonicMs());
    }
    const others = new Set(silent.filter((key) => !this.#tunnelled.has(key)));
    for (const [key, verdict] of await this.#searchAs(silent, others, signal)) {
      if (verdict.kind === "found") {
        if (others.has(key)) this.#tunnelled.add(key);
        else this.#tunnelled.delete(key);
      }
      this.#table.found(key, verdict, this.deps.clock.monotonicMs());
    }
  }

  async #searchAs(
    keys: readonly string[],
    tunnelled: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, PathVerdict>> {
    const searches = new Map<string, PathSearch>();
    const verdicts = new Map<string, PathVerdict>();
    for (const key of keys) {
      const limits = this.#table.limits(key);
      if (limits === undefined) continue;
      searches.set(key, new PathSearch(limits, this.#table.known(key)?.mtuBytes));
    }
    while (searches.size > 0) {
      const sizes = new Map([...searches].map(([key, search]) => [key, search.next()]));
      const answers = await this.#send(sizes, tunnelled, signal);
      if (signal.aborted) return new Map();
      for (const [key, search] of searches) {
        search.take(answers.get(key) ?? { passed: [], toldBytes: undefined });
        if (search.verdict.kind === "searching") continue;
        searches.delete(key);
        verdicts.set(key, search.verdict);
      }
    }
    return verdicts;
  }

  async #send(
    sizes: ReadonlyMap<string, readonly number[]>,
    tunnelled: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, RoundAnswer>> {
    const from = this.#vtep;
    const asked: {
      readonly key: string;
      readonly to: Ip;
      readonly sizesBytes: readonly number[];
    }[] = [];
    for (const [key, sizesBytes] of sizes) {
      const to = this.#peers.get(key);
      if (to !== undefined) asked.push({ key, to, sizesBytes });
    }
    if (from === undefined || asked.length === 0) return new Map();
    const timeoutMs = this.deps.timing.dialMs * TIMEOUT_PART;
    const probes = asked.map(({ key, to, sizesBytes }) => {
      const tunnelPort = tunnelled.has(key) ? this.#port : undefined;
      return { from, to, sizesBytes, tunnelPort };
    });
    const answers = await this.deps.prober.send(probes, { tries: TRIES, timeoutMs }, signal);
    return new Map(
      asked.flatMap(({ key, to }, i) => {
        const answer = answers[i];
        if (answer === undefined) return [];
        if (!tunnelled.has(key)) return [[key, answer] as const];
        // What routers answer to these goes to the kernel alone.
        const toldBytes = this.deps.prober.known(from, to)?.learnedBytes;
        return [[key, { ...answer, toldBytes }] as const];
      }),
    );
  }

  #tell(): void {
    const { member, hostname, findings, setPaths, remeasured, log } = this.deps;
    const paths = this.#table.paths();
    const { networks = [], endpoints = [], peers = [] } = member()?.held.current ?? {};
    const known = { networks, endpoints, peers, paths, hostname };
    findings.report("path mtu", pathFindings(known));
    const measured = measuredPaths(known);
    if (JSON.stringify(measured) !== JSON.stringify(this.#measured)) {
      this.#measured = measured;
      remeasured();
    }
    const changed = [...paths].filter(([vtep, path]) => !isSame(this.#told.get(vtep), path));
    if (changed.length === 0 && paths.size === this.#told.size) return;
    this.#told = paths;
    for (const [peer, { mtuBytes, isBlackHole }] of changed)
      log.info({ peer, mtuBytes, isBlackHole }, "path MTU");
    setPaths(new Map([...paths].map(([vtep, { mtuBytes }]) => [vtep, mtuBytes])));
  }
}

function isSame(a: PeerPath | undefined, b: PeerPath): boolean {
  return a?.mtuBytes === b.mtuBytes && a.isBlackHole === b.isBlackHole;
}

function inParts<T>(items: readonly T[]): readonly (readonly T[])[] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += PEERS_AT_ONCE)
    parts.push(items.slice(at, at + PEERS_AT_ONCE));
  return parts;
}
