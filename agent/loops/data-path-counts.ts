// All that the data paths of this node count, gathered: each path puts its own here, and whoever wants to know asks
// once for all of them. What the devices count is the kernel path's own; it is there whatever path is in use.
import type { Clock } from "../../common/clock.js";
import type { Network } from "../../proto/gen/types.js";
import { LISTENER, VXLAN } from "../reconcile/names.js";
import type { DataPathCounters, DropCount, LinkCounters, TrafficCount, Watcher } from "../seams.js";

// Choice: readers that come together (a page with many panels) share one look.
const FRESH_MS = 500;

/** Labelled by what counted. */
export interface AllCounts {
  readonly traffic: readonly (TrafficCount & { readonly source: string })[];
  readonly drops: readonly (DropCount & { readonly source: string })[];
}

export class DataPathCountsOfNode {
  readonly #sources: DataPathCounters[] = [];
  #read: AllCounts = { traffic: [], drops: [] };
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly clock: Clock) {}

  add(counters: DataPathCounters): void {
    this.#sources.push(counters);
  }

  read(): AllCounts {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.#readMs < FRESH_MS) return this.#read;
    const all = this.#sources.map((each) => ({ source: each.source, ...each.read() }));
    this.#read = {
      traffic: all.flatMap(({ source, traffic }) => traffic.map((each) => ({ ...each, source }))),
      drops: all.flatMap(({ source, drops }) => drops.map((each) => ({ ...each, source }))),
    };
    this.#readMs = nowMs;
    return this.#read;
  }
}

/**
 * Of each network the device that leads to the other nodes (the VXLAN device; a TAP on the userspace path). The
 * kernel does not tell peers apart there.
 */
export function deviceCounts(
  watcher: Pick<Watcher, "counters">,
  networks: () => readonly Network[],
): DataPathCounters {
  return {
    source: "device",
    read: () => {
      const traffic: TrafficCount[] = [];
      const drops: DropCount[] = [];
      for (const { id, vni } of networks()) {
        const devices = (watcher.counters(vni) ?? []).filter(
          ({ name }) => name === VXLAN || name === LISTENER,
        );
        if (devices.length > 0) addNetwork(id, devices, { traffic, drops });
      }
      return { traffic, drops };
    },
  };
}

function addNetwork(
  networkId: string,
  devices: readonly LinkCounters[],
  { traffic, drops }: { readonly traffic: TrafficCount[]; readonly drops: DropCount[] },
): void {
  const sum = (pick: (each: LinkCounters) => number) =>
    devices.reduce((total, each) => total + pick(each), 0);
  const peer = "";
  traffic.push({
    networkId,
    peer,
    frames: { in: sum((each) => each.gotFrames), out: sum((each) => each.sentFrames) },
    bytes: { in: sum((each) => each.gotBytes), out: sum((each) => each.sentBytes) },
  });
  drops.push(
    { networkId, peer, reason: "device-in", frames: sum((each) => each.gotDropped) },
    // Of a VXLAN device: a frame whose destination no row has, or to whose peer there is no route.
    { networkId, peer, reason: "device-out", frames: sum((each) => each.sentDropped) },
  );
}
