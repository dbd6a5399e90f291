// What the guard's tables dropped, followed: totals for the metrics, and a finding for what goes on.
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { DROPS, type RuleDrops } from "../guard/drops.js";
import type { Stranger, StrangerReason } from "../guard/strangers.js";
import type { Kernel } from "../reconcile/kernel.js";
import { sandboxKey } from "../reconcile/names.js";
import type { DataPathCounters, DataPathCounts, DropCount, Finding } from "../seams.js";
import type { Findings } from "./findings.js";

// Choice: who asks why something failed a while ago is still told.
const REMEMBERED_MS = 600_000;
// Choice: a node that is told of a new endpoint a moment after its first frame has dropped a few for nothing.
const STRANGERS_MIN = 20;
// Choice: as many as one sentence holds.
const NAMED_MAX = 5;

/** For people: what an endpoint or a network is called. */
export interface GuardNames {
  endpoint(id: string): string | undefined;
  network(vni: number): { readonly id: string; readonly name: string } | undefined;
}

export function guardNames(held: () => Assignments | undefined): GuardNames {
  return {
    endpoint(id) {
      const name = held()?.endpoints.find((endpoint) => endpoint.id === id)?.name;
      return name === "" ? undefined : name;
    },
    network(vni) {
      const network = held()?.networks.find((each) => each.vni === vni);
      return network && { id: network.id, name: network.spec?.name ?? network.id };
    },
  };
}

interface Seen {
  readonly place: RuleDrops["place"];
  readonly reason: string;
  readonly subject: string;
  /** As the rule counted at the last look. */
  last: number;
  /** Since this agent began. */
  total: number;
  /** Since it was quiet last, and when it last was more. */
  spell: number;
  lastMs: number;
}

export class GuardWatch implements DataPathCounters {
  readonly source = "filter";
  readonly #seen = new Map<string, Seen>();
  #strangers: readonly Stranger[] = [];

  constructor(
    private readonly kernel: Pick<Kernel, "drops" | "strangers">,
    private readonly names: GuardNames,
    private readonly findings: Findings,
    private readonly node: string,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Looks every `resyncMs`. */
  async follow({ resyncMs }: Pick<Timing, "resyncMs">, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.look();
      } catch (error) {
        this.log.warn({ err: messageOf(error) }, "cannot read what the guard has dropped");
      }
      await this.clock.sleep(resyncMs, signal).catch(() => {});
    }
  }

  look(): void {
    const nowMs = this.clock.monotonicMs();
    // Several rules may be about the same.
    const counted = new Map<string, RuleDrops>();
    for (const each of this.kernel.drops()) {
      const key = `${sandboxKey(each.place)} ${each.reason} ${each.subject}`;
      const frames = each.frames + (counted.get(key)?.frames ?? 0);
      counted.set(key, { ...each, frames });
    }
    for (const [key, { place, reason, subject, frames }] of counted) {
      const fresh = { place, reason, subject, last: 0, total: 0, spell: 0, lastMs: 0 };
      const seen = this.#seen.get(key) ?? fresh;
      this.#seen.set(key, seen);
      // A rule that was written anew has counted from nothing.
      const more = frames >= seen.last ? frames - seen.last : frames;
      seen.last = frames;
      if (more === 0) continue;
      if (nowMs - seen.lastMs > REMEMBERED_MS) seen.spell = 0;
      seen.total += more;
      seen.spell += more;
      seen.lastMs = nowMs;
    }
    for (const [key, seen] of this.#seen) {
      if (!counted.has(key) && nowMs - seen.lastMs > REMEMBERED_MS) this.#seen.delete(key);
    }
    this.#strangers = this.kernel.strangers().toSorted((a, b) => b.frames - a.frames);
    this.findings.report("guard", this.#found(nowMs));
  }

  /** What is nobody's fault, as sentences: another program's device may have the network that is not here. */
  notes(): readonly string[] {
    return this.#first("unknown-vni", STRANGERS_MIN).map(
      ({ frames, address, vni }) =>
        `${frames} frames came from ${address} for VNI ${vni}, which no network here has: another program's, or a swarm's whose data path port this is too.`,
    );
  }

  #first(reason: StrangerReason, framesMin: number): readonly Stranger[] {
    const all = this.#strangers.filter((each) => each.reason === reason);
    return all.filter(({ frames }) => frames >= framesMin).slice(0, NAMED_MAX);
  }

  /** Empty if they are not known: their packet filter notes nobody. */
  #namesOfStrangers(): string {
    const named = this.#first(DROPS.notAPeer, 1).map(({ address, vni, frames }) => {
      const network = this.names.network(vni);
      return `${address} (${frames}, ${network === undefined ? `VNI ${vni}` : `network ${network.name}`})`;
    });
    const all = this.#strangers.filter(({ reason }) => reason === DROPS.notAPeer).length;
    if (all > named.length) named.push(`${all - named.length} more`);
    if (named.length === 0) return "";
    const [last = "", ...before] = named.toReversed();
    const list = before.length === 0 ? last : `${before.toReversed().join(", ")} and ${last}`;
    return ` They came from ${list}.`;
  }

  read(): DataPathCounts {
    const drops = new Map<string, DropCount>();
    for (const { place, reason, total } of this.#seen.values()) {
      const networkId = place.kind === "network" ? (this.names.network(place.vni)?.id ?? "") : "";
      const key = `${networkId} ${reason}`;
      const frames = total + (drops.get(key)?.frames ?? 0);
      drops.set(key, { networkId, peer: "", reason, frames });
    }
    return { traffic: [], drops: [...drops.values()] };
  }

  #found(nowMs: number): Finding[] {
    return [...this.#seen].flatMap(([key, seen]) => {
      const isOver = seen.spell === 0 || nowMs - seen.lastMs > REMEMBERED_MS;
      const words = isOver ? undefined : this.#wordsOf(seen);
      return words === undefined ? [] : [{ subject: key, ...words }];
    });
  }

  #wordsOf({ place, reason, subject, spell }: Seen): Omit<Finding, "subject"> | undefined {
    const vni = place.kind === "network" ? place.vni : undefined;
    const network = vni === undefined ? undefined : (this.names.network(vni)?.name ?? `VNI ${vni}`);
    const who = `Endpoint ${this.names.endpoint(subject) ?? subject} on ${this.node}`;
    const where = network === undefined ? this.node : `${this.node}, network ${network}`;
    const frames = `${spell} frame${spell === 1 ? "" : "s"}`;
    switch (reason) {
      case DROPS.spoofedMac:
        return {
          what: `${who} sent ${frames} with others' MAC addresses as source; they were dropped.`,
          where,
          remedy:
            "See what runs there. A bridge or virtual machines behind an endpoint need endpoints of their own.",
        };
      case DROPS.spoofedAddress:
        return {
          what: `${who} sent ${frames} with others' source addresses; they were dropped.`,
          where,
          remedy:
            "See what runs there. If it is to route for others, create the network with --opt skein.sources=mac.",
        };
      case DROPS.router:
        return {
          what: `${who} sent ${frames} that say it were a router (router advertisements, redirects); they were dropped.`,
          where,
          remedy:
            "See what runs there. On a network with --opt skein.sources=mac they are let through.",
        };
      case DROPS.flood:
        return {
          what: `${who} sent more broadcast and multicast than it may; ${frames} were dropped.`,
          where,
          remedy:
            "See what runs there: often a loop, or something that announces itself without end.",
        };
      case DROPS.spoofed:
        if (spell < STRANGERS_MIN) return undefined;
        return {
          what: `${frames} came from other nodes with source MAC addresses that none of their endpoints has; they were dropped.`,
          where,
          remedy:
            "Run skein doctor on the other nodes: one that forges addresses, or has not heard of a change.",
        };
      case DROPS.notAPeer:
        if (spell < STRANGERS_MIN) return undefined;
        return {
          what: `${frames} came to the data path port from machines that are not nodes of their network; they were dropped.${this.#namesOfStrangers()}`,
          where,
          remedy:
            "If they come from a node of the swarm, its frames leave with another address than its data path address: check its routes and NAT. Else keep strangers from the port.",
        };
      default:
        return undefined;
    }
  }
}
