// What the agent counts of the data path and of its peers, as Prometheus text. docs/metrics.md lists all of it.
import type { Counter, Gauge, Registry } from "prom-client";
import type { Network } from "../proto/gen/types.js";
import { type ApplyCounts, PROGRAMMING_BUCKETS } from "./loops/apply-counts.js";
import type { AllCounts } from "./loops/data-path-counts.js";
import type { PeerStats, ProbeWay } from "./overlay/peer-watch.js";
import type { AgentNode, HostFacts } from "./seams.js";

/** Looked up when somebody asks. */
export interface Measured {
  readonly counts: () => AllCounts;
  readonly peers: () => readonly PeerStats[];
  readonly findings: AgentNode["findings"];
  readonly networks: () => readonly Network[];
  readonly applied: Pick<ApplyCounts, "programmed" | "programmedSeconds" | "repairs">;
  readonly dataPath: () => HostFacts["dataPath"];
}

/** The library's, which is loaded when somebody asks for the first time. */
interface Kinds {
  readonly Counter: typeof Counter;
  readonly Gauge: typeof Gauge;
}

type Sample = readonly [Readonly<Record<string, string | number>>, number];

export function registerDataPath(kinds: Kinds, registry: Registry, measured: Measured): void {
  for (const each of describeAll(measured)) {
    const collect = () => each.samples();
    const { name, help, labels: labelNames } = each;
    const options = { name, help, labelNames: [...labelNames], registers: [registry] };
    if (each.kind === "counter") {
      new kinds.Counter({
        ...options,
        collect() {
          this.reset();
          for (const [labels, value] of collect()) this.inc(labels, value);
        },
      });
    } else {
      new kinds.Gauge({
        ...options,
        collect() {
          this.reset();
          for (const [labels, value] of collect()) this.set(labels, value);
        },
      });
    }
  }
}

interface Metric {
  readonly kind: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: () => readonly Sample[];
}

const WAYS: readonly ProbeWay[] = ["underlay", "data"];

function describeAll({
  counts,
  peers,
  findings,
  networks,
  applied,
  dataPath,
}: Measured): readonly Metric[] {
  const network = (id: string) => networks().find((each) => each.id === id)?.spec?.name ?? id;
  const hostname = (vtep: string) =>
    peers().find(({ address }) => address === vtep)?.hostname ?? vtep;
  const traffic = (unit: "frames" | "bytes") => () =>
    counts().traffic.flatMap(({ source, networkId, peer, [unit]: value }) =>
      (["in", "out"] as const).map((direction): Sample => {
        const labels = { source, network: network(networkId), peer: hostname(peer), direction };
        return [labels, value[direction]];
      }),
    );
  const ofPeers = (value: (peer: PeerStats, way: ProbeWay) => number | undefined) => () =>
    peers().flatMap((peer) =>
      WAYS.flatMap((way): Sample[] => {
        const measured = value(peer, way);
        return measured === undefined ? [] : [[{ peer: peer.hostname, way }, measured]];
      }),
    );
  return [
    {
      ...{ kind: "gauge", name: "skein_datapath_info" },
      help: "Always 1; the labels are the data path in use and the one that was asked for.",
      labels: ["path", "wish"],
      samples: () => [[{ path: dataPath().path, wish: dataPath().wish }, 1]],
    },
    {
      ...{ kind: "counter", name: "skein_datapath_frames_total" },
      help: "Frames from and to other nodes, by what counts them; an empty peer: not told apart.",
      labels: ["source", "network", "peer", "direction"],
      samples: traffic("frames"),
    },
    {
      ...{ kind: "counter", name: "skein_datapath_bytes_total" },
      help: "Bytes of those frames, without the outer headers.",
      labels: ["source", "network", "peer", "direction"],
      samples: traffic("bytes"),
    },
    {
      ...{ kind: "counter", name: "skein_datapath_drops_total" },
      help: "Frames that were dropped, by reason.",
      labels: ["source", "network", "peer", "reason"],
      samples: () =>
        counts().drops.map(({ source, networkId, peer, reason, frames }) => [
          { source, network: network(networkId), peer: hostname(peer), reason },
          frames,
        ]),
    },
    {
      ...{ kind: "counter", name: "skein_repairs_total" },
      help: "Steps done in the kernel although nothing else was wanted: somebody had changed it.",
      labels: ["step"],
      samples: () => [...applied.repairs].map(([step, times]) => [{ step }, times]),
    },
    {
      ...{ kind: "gauge", name: "skein_peer_rtt_seconds" },
      help: "Round trip to a peer, smoothed; absent while it does not answer.",
      labels: ["peer", "way"],
      samples: ofPeers((peer, way) => seconds(peer[way].rttUs)),
    },
    {
      ...{ kind: "counter", name: "skein_peer_probes_total" },
      help: "Echo requests sent to a peer.",
      labels: ["peer", "way"],
      samples: ofPeers((peer, way) => peer[way].sent),
    },
    {
      ...{ kind: "counter", name: "skein_peer_probes_lost_total" },
      help: "Those that were not answered before the next.",
      labels: ["peer", "way"],
      samples: ofPeers((peer, way) => peer[way].lost),
    },
    {
      ...{ kind: "gauge", name: "skein_findings" },
      help: "What this node knows to be wrong now ('skein doctor').",
      labels: [],
      samples: () => [[{}, findings().length]],
    },
  ];
}

function seconds(us: number | undefined): number | undefined {
  return us === undefined ? undefined : us / 1e6;
}

/** A histogram that is counted elsewhere, in the text exposition format 0.0.4. */
export function programmingText({
  programmed,
  programmedSeconds,
}: Pick<ApplyCounts, "programmed" | "programmedSeconds">): string {
  const name = "skein_programming_seconds";
  let total = 0;
  const lines = programmed.map((count, at) => {
    total += count;
    return `${name}_bucket{le="${PROGRAMMING_BUCKETS[at] ?? "+Inf"}"} ${total}\n`;
  });
  return [
    `# HELP ${name} From what is wanted to what is in the kernel.\n`,
    `# TYPE ${name} histogram\n`,
    ...lines,
    `${name}_sum ${programmedSeconds}\n`,
    `${name}_count ${total}\n`,
  ].join("");
}
