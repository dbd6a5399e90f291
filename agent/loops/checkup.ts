// What the loops know to be wrong and do not report of themselves, as findings: looked up when somebody asks, and
// from time to time, so that it is known since when. Answers the leader's question, too.
import type { Clock } from "../../common/clock.js";
import type { Timing } from "../../common/timing.js";
import type { NodeCheck } from "../../proto/gen/control.js";
import { kernelFinding, repairFinding, swarmFinding } from "../member/trouble-words.js";
import type { Finding, HostFacts, SwarmStatus } from "../seams.js";
import type { Applier } from "./apply.js";
import type { Findings } from "./findings.js";
import type { HeldAssignments } from "./held-assignments.js";
import type { NeighbourWatch } from "./neighbour-watch.js";

// Choice: what the leader will take (manager/loops/check.ts).
const FINDINGS_MAX = 100;

export interface CheckupDeps {
  readonly findings: Findings;
  readonly applier: Pick<Applier, "counts" | "foreignDrops" | "problems">;
  /** Of each published port that another program has, a sentence. */
  readonly takenPorts: () => readonly string[];
  /** Of the table of connections. */
  readonly flows: () => readonly string[];
  readonly neighbours: Pick<NeighbourWatch, "findings">;
  readonly swarm: () => Pick<SwarmStatus, "error">;
  readonly held: () => HeldAssignments | undefined;
  readonly dataPath: () => HostFacts["dataPath"];
  readonly clock: Clock;
  readonly timing: Pick<Timing, "resyncMs">;
}

export class Checkup {
  constructor(private readonly deps: CheckupDeps) {}

  list(): ReturnType<Findings["list"]> {
    this.#look();
    return this.deps.findings.list();
  }

  /** For the leader: of one network, and of what is about no network; all, if the id is empty. */
  check(networkId: string): NodeCheck {
    const findings = this.list()
      .filter((each) => networkId === "" || (each.networkId ?? networkId) === networkId)
      .slice(0, FINDINGS_MAX)
      .map(({ networkId: of, ...each }) => ({ ...each, networkId: of ?? "" }));
    const { wish, path, why } = this.deps.dataPath();
    const dataPath = { wish, path, why: [...why] };
    return { nodeId: "", findings, dataPath, error: "", fromLeader: false };
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { clock, timing } = this.deps;
    while (!signal.aborted) {
      this.#look();
      await clock.sleep(timing.resyncMs, signal).catch(() => {});
    }
  }

  #look(): void {
    const { findings, applier, takenPorts, flows, swarm } = this.deps;
    const kernel = [...applier.problems()].map(([subject, why]) =>
      kernelFinding(subject, why, (id) => this.#named(id)),
    );
    findings.report("kernel", kernel);
    const repairs = applier.counts
      .recent()
      .flatMap((each) => repairFinding(each, (id) => this.#named(id)) ?? []);
    findings.report("repairs", repairs);
    const chains = applier.foreignDrops;
    findings.report("foreign filters", chains === "" ? [] : [foreignFinding(chains)]);
    findings.report("ports", takenPorts().map(portFinding));
    findings.report("connections", flows().map(flowFinding));
    findings.report("neighbours", this.deps.neighbours.findings());
    const { error } = swarm();
    findings.report("swarm", error === "" ? [] : [swarmFinding(error)]);
  }

  #named(id: string): { readonly name: string; readonly networkId: string } | undefined {
    const known = this.deps.held()?.current;
    const network = known?.networks.find((each) => each.id === id);
    if (network) return { name: `network ${network.spec?.name ?? id}`, networkId: id };
    const endpoint = known?.endpoints.find((each) => each.id === id);
    if (!endpoint) return undefined;
    const { networkId } = endpoint;
    const on = known?.networks.find((each) => each.id === networkId)?.spec?.name ?? networkId;
    return { name: `${endpoint.name || id} on network ${on}`, networkId };
  }
}

function foreignFinding(chains: string): Finding {
  return {
    subject: "forward",
    what: `Another program's packet filter drops what is forwarded unless told otherwise (${chains}).`,
    where: chains,
    remedy: `Let Skein's bridges through there, or containers reach only this machine.`,
  };
}

function portFinding(sentence: string): Finding {
  // "port 80/tcp of service web …": there is one sentence for each.
  const [, port = sentence] = /^(port \S+)/.exec(sentence) ?? [];
  return {
    subject: port,
    what: `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`,
    where: port,
    remedy:
      "Stop that program, or publish the service on another port: the mesh takes the port as soon as it is free.",
  };
}

function flowFinding(sentence: string): Finding {
  return {
    subject: "table",
    what: sentence,
    where: "nf_conntrack",
    remedy:
      "Raise net.netfilter.nf_conntrack_max with sysctl, and see what opens so many connections ('conntrack -L').",
  };
}
