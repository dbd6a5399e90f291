// Measures a network: asks every node that has it to ping all the others, and passes on what they say.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, Refused } from "../../common/fault.js";
import { Signal } from "../../common/watch.js";
import type { ProbeRequest, ProbeResult } from "../../proto/gen/control.js";
import type { ProbeReport } from "../../proto/gen/dispatcher.js";
import { findNetwork } from "../control/network-lookup.js";
import type { StoreView } from "../store/view.js";
import type { Sessions } from "./sessions.js";

// Limits on what a person may ask for, and what is meant by "unset".
const COUNT_DEFAULT = 3;
const COUNT_MAX = 100;
const TIMEOUT_DEFAULT_MS = 2_000;
const TIMEOUT_MAX_MS = 60_000;
const SIZE_MAX_BYTES = 8_972;
// Choice: an agent starts a round of echoes each second at the slowest, and reports within this time; one with many
// endpoints reports of some after others.
const ROUND_MS = 1_000;
const REPORT_MS = 3_000;
const RUN_MAX_MS = 300_000;
const RESULTS_WAITING_MAX = 200_000;

interface Running {
  readonly waitingFor: Set<string>;
  readonly results: ProbeResult[];
  readonly wake: Signal;
}

export class Probes {
  readonly #running = new Map<number, Running>();
  #lastId = 0;

  constructor(private readonly clock: Clock) {}

  /** An agent's answer. What nobody waits for any more is dropped. */
  report(nodeId: string, report: ProbeReport): void {
    const running = this.#running.get(report.probeId);
    if (!running?.waitingFor.has(nodeId)) return;
    // Which node measured is what its certificate says.
    const room = RESULTS_WAITING_MAX - running.results.length;
    for (const result of report.results.slice(0, room)) {
      running.results.push({ ...result, fromNodeId: nodeId });
    }
    if (report.done) running.waitingFor.delete(nodeId);
    running.wake.notify();
  }

  async *run(
    request: ProbeRequest,
    view: StoreView,
    sessions: Sessions,
    signal: AbortSignal,
  ): AsyncIterable<ProbeResult> {
    const network = findNetwork(view, request.networkId);
    if (isRefusal(network)) throw new Refused(network);
    const count = Math.min(request.count || COUNT_DEFAULT, COUNT_MAX);
    const timeoutMs = Math.min(request.timeoutMs || TIMEOUT_DEFAULT_MS, TIMEOUT_MAX_MS);
    const sizeBytes = Math.min(request.sizeBytes, SIZE_MAX_BYTES);
    // Small and growing: agents tell rounds apart by it, across leaders too.
    this.#lastId = Math.max(this.#lastId + 1, Math.floor(this.clock.nowMs()));
    const probeId = this.#lastId;
    const running: Running = { waitingFor: new Set(), results: [], wake: new Signal() };
    this.#running.set(probeId, running);
    try {
      const asked = new Set(request.fromNodeIds);
      for (const nodeId of new Set(view.nodesOn(network.id))) {
        if (asked.size > 0 && !asked.has(nodeId)) continue;
        const probe = { probeId, networkId: network.id, count, timeoutMs, sizeBytes };
        if (sessions.probe(nodeId, probe)) running.waitingFor.add(nodeId);
        else yield silent(nodeId, "the node is not connected to the leader");
      }
      yield* this.#results(running, count * ROUND_MS + timeoutMs + REPORT_MS, signal);
      for (const nodeId of running.waitingFor)
        yield silent(nodeId, "the node did not report in time");
    } finally {
      this.#running.delete(probeId);
    }
  }

  async *#results(
    running: Running,
    silentMs: number,
    signal: AbortSignal,
  ): AsyncIterable<ProbeResult> {
    const endMs = this.clock.monotonicMs() + RUN_MAX_MS;
    let giveUpMs = 0;
    for (;;) {
      // As long as any node reports, those that wait for their turn are not silent.
      if (running.results.length > 0 || giveUpMs === 0) {
        giveUpMs = Math.min(endMs, this.clock.monotonicMs() + silentMs);
      }
      // Judged before the results are taken: more may come, and the last node be done, while these are handed on.
      const leftMs = giveUpMs - this.clock.monotonicMs();
      const isOver = running.waitingFor.size === 0 || leftMs <= 0;
      yield* running.results.splice(0);
      if (isOver) return;
      const done = new AbortController();
      const onAbort = () => done.abort(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      const wait = [running.wake.wait(done.signal), this.clock.sleep(leftMs, done.signal)];
      try {
        await Promise.race(wait);
      } finally {
        signal.removeEventListener("abort", onAbort);
        done.abort(new Fault("PROBE_ENDED"));
        await Promise.allSettled(wait);
      }
    }
  }
}

function silent(nodeId: string, error: string): ProbeResult {
  return {
    fromNodeId: nodeId,
    fromEndpointId: "",
    toNodeId: "",
    toEndpointId: "",
    sent: 0,
    received: 0,
    rttMinUs: 0,
    rttAvgUs: 0,
    rttMaxUs: 0,
    toAddress: "",
    error,
  };
}
