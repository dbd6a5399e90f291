// Asks every node what is wrong there, and adds what the leader knows itself. Nothing is kept of the answers: each
// node's truth is its own, asked for when a person wants to know.
import type { Clock } from "../../common/clock.js";
import { isRefusal, Refused } from "../../common/fault.js";
import { Signal } from "../../common/watch.js";
import { type CheckRequest, type Finding, NodeCheck } from "../../proto/gen/control.js";
import type { CheckReport } from "../../proto/gen/dispatcher.js";
import { NodeState } from "../../proto/gen/types.js";
import { findNetwork } from "../control/network-lookup.js";
import { type Heard, type LeaderFinding, leaderFindings } from "../dispatch/findings.js";
import type { StoreView } from "../store/view.js";
import type { Sessions } from "./sessions.js";
import { waitFor } from "./timed-signal.js";

const TIMEOUT_DEFAULT_MS = 5_000;
const TIMEOUT_MAX_MS = 60_000;
// Choice: how exact an age is; counting endpoints costs about a millisecond for each hundred thousand.
const LOOK_MS = 10_000;
// What one node may say, whatever it believes: a page for a person, not a load for the leader.
const FINDINGS_MAX = 100;
const TEXT_MAX = 1_000;

interface Running {
  readonly waitingFor: Set<string>;
  readonly answers: NodeCheck[];
  readonly wake: Signal;
}

export class Checks {
  readonly #running = new Map<number, Running>();
  /** When the leader first knew of each, in Unix milliseconds. */
  #since = new Map<string, number>();
  #lastId = 0;

  constructor(private readonly clock: Clock) {}

  /** Looks now and then while this manager leads, so that it is known since when. */
  async watch(view: StoreView, heard: Heard, term: AbortSignal): Promise<void> {
    while (!term.aborted) {
      this.#look(view, heard);
      await this.clock.sleep(LOOK_MS, term).catch(() => {});
    }
  }

  /** An agent's answer. What nobody waits for any more is dropped. */
  report(nodeId: string, { checkId, check }: CheckReport): void {
    const running = this.#running.get(checkId);
    // Which node says it is what its certificate says.
    if (check === undefined || !running?.waitingFor.delete(nodeId)) return;
    const findings = check.findings.slice(0, FINDINGS_MAX).map(clipped);
    running.answers.push({ ...check, nodeId, findings, fromLeader: false });
    running.wake.notify();
  }

  async *run(
    request: CheckRequest,
    view: StoreView,
    sessions: Pick<Sessions, "check">,
    heard: Heard,
    signal: AbortSignal,
  ): AsyncIterable<NodeCheck> {
    const network = request.networkId === "" ? undefined : findNetwork(view, request.networkId);
    if (isRefusal(network)) throw new Refused(network);
    const networkId = network?.id ?? "";
    const nodes = [...view.nodes()].map(({ id }) => id);
    const asked = networkId === "" ? nodes : [...new Set(view.nodesOn(networkId))];
    this.#lastId = Math.max(this.#lastId + 1, Math.floor(this.clock.nowMs()));
    const checkId = this.#lastId;
    const running: Running = { waitingFor: new Set(), answers: [], wake: new Signal() };
    this.#running.set(checkId, running);
    try {
      yield* this.#own(view, heard, networkId, new Set(asked));
      for (const nodeId of asked) {
        if (sessions.check(nodeId, { checkId, networkId })) running.waitingFor.add(nodeId);
        else yield silent(nodeId, whyNot(view, nodeId));
      }
      const timeoutMs = Math.min(request.timeoutMs || TIMEOUT_DEFAULT_MS, TIMEOUT_MAX_MS);
      yield* this.#answers(running, this.clock.monotonicMs() + timeoutMs, signal);
      for (const nodeId of running.waitingFor) yield silent(nodeId, "It did not answer in time.");
    } finally {
      this.#running.delete(checkId);
    }
  }

  /** By node, those about the swarm first. */
  *#own(
    view: StoreView,
    heard: Heard,
    networkId: string,
    asked: ReadonlySet<string>,
  ): Iterable<NodeCheck> {
    const byNode = new Map<string, Finding[]>();
    for (const finding of this.#look(view, heard)) {
      const { nodeId, ...rest } = finding;
      if (networkId !== "" && !concerns(finding, networkId, asked)) continue;
      const list = byNode.get(nodeId) ?? [];
      if (list.length < FINDINGS_MAX) list.push(rest);
      byNode.set(nodeId, list);
    }
    for (const [nodeId, findings] of byNode) {
      yield NodeCheck.fromPartial({ nodeId, findings, fromLeader: true });
    }
  }

  #look(view: StoreView, heard: Heard): readonly (LeaderFinding & { readonly sinceMs: number })[] {
    const nowMs = this.clock.nowMs();
    const found = leaderFindings(view, heard).map((finding) => ({
      ...finding,
      sinceMs: finding.sinceMs ?? this.#since.get(keyOf(finding)) ?? nowMs,
    }));
    this.#since = new Map(found.map((finding) => [keyOf(finding), finding.sinceMs]));
    return found;
  }

  async *#answers(
    running: Running,
    untilMs: number,
    signal: AbortSignal,
  ): AsyncIterable<NodeCheck> {
    for (;;) {
      // Judged before they are taken: more may come while these are handed on.
      const leftMs = untilMs - this.clock.monotonicMs();
      const isOver = running.waitingFor.size === 0 || leftMs <= 0;
      yield* running.answers.splice(0);
      if (isOver) return;
      await waitFor(running.wake, leftMs, this.clock, signal);
    }
  }
}

function concerns(finding: LeaderFinding, networkId: string, asked: ReadonlySet<string>): boolean {
  if (finding.networkId !== "") return finding.networkId === networkId;
  return finding.nodeId === "" || asked.has(finding.nodeId);
}

function whyNot(view: StoreView, nodeId: string): string {
  const isDown = view.node(nodeId)?.state === NodeState.DOWN;
  return isDown ? "It is down." : "It has no session with the leader.";
}

function silent(nodeId: string, error: string): NodeCheck {
  return NodeCheck.fromPartial({ nodeId, error });
}

function clipped(finding: Finding): Finding {
  const clip = (text: string) => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);
  return {
    ...finding,
    subject: clip(finding.subject),
    what: clip(finding.what),
    where: clip(finding.where),
    remedy: clip(finding.remedy),
  };
}

function keyOf({ nodeId, subject }: LeaderFinding): string {
  return `${nodeId} ${subject}`;
}
