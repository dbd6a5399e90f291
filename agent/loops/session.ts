// Keeps one session with the leader open: finds it among the managers known, says Hello with the
// revision held, follows what it is told, beats, and finds the next leader when this one falls silent.
import type { Clock } from "../../common/clock.js";
import { Fault, faultFields, isRefusal, unreachable } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import type {
  AgentInquiry,
  Applied,
  Check,
  CheckReport,
  Hello,
  LogSubscription,
  ManagerMessage,
  NodeUpdate,
  Probe,
  ProbeReport,
  TaskReports,
} from "../../proto/gen/dispatcher.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { ManagerLink, Session } from "../seams.js";
import type { HeldAssignments } from "./held-assignments.js";

export type SessionState =
  | { readonly kind: "connecting"; readonly problem: string }
  | { readonly kind: "open"; readonly addr: string }
  /** A manager said that this node may not come in. It is asked again, at the longest interval. */
  | { readonly kind: "refused"; readonly problem: string };

/** What a node's tasks have to say, and are asked, by the session that is open. */
export interface SessionTasks {
  readonly reports: { opened(send: (reports: TaskReports) => void): () => void };
  readonly logs: {
    subscribe(
      asked: LogSubscription,
      publish: ManagerLink["publishLogs"],
      session: AbortSignal,
    ): void;
    closed(subscriptionId: number): void;
  };
}

/** What managers ask a node that only it can see. */
export interface SessionInquiries {
  begin(asked: AgentInquiry, publish: ManagerLink["publishInquiry"]): void;
  closed(inquiryId: number): void;
}

export interface SessionDeps {
  readonly link: ManagerLink;
  readonly held: HeldAssignments;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  /** Where managers are believed to be, the likeliest first. */
  readonly addresses: () => readonly string[];
  readonly hello: () => Omit<Hello, "revision">;
  readonly onNode: (update: NodeUpdate) => void;
  /** Of the swarm that the manager serves; told when it is another than the hello said. */
  readonly onGeneration: (generation: number) => void;
  readonly onProbe: (
    probe: Probe,
    report: (report: ProbeReport) => void,
    signal: AbortSignal,
  ) => void;
  readonly onCheck: (check: Check) => CheckReport;
  readonly onState: (state: SessionState) => void;
  readonly tasks: SessionTasks;
  readonly inquiries: SessionInquiries;
  readonly applied: { opened(send: (applied: Applied) => void): () => void };
}

export class SessionLoop {
  #failed: string | undefined;
  #open: Session | undefined;
  #reopening = false;
  /** What was said in the last hello is not so any more. */
  #isStale = false;
  #pauseMs: number;

  constructor(private readonly deps: SessionDeps) {
    this.#pauseMs = deps.timing.retryMinMs;
  }

  /** Ends the session that is open, if one is, and opens another at once: with a new certificate, say. */
  reopen(): void {
    this.#isStale = true;
    if (this.#open === undefined) return;
    this.#reopening = true;
    this.#open.close();
  }

  /** Until the signal is aborted; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { deps } = this;
    while (!signal.aborted) {
      const problem = await this.#round(signal);
      if (signal.aborted) return;
      if (this.#reopening) {
        this.#reopening = false;
        continue;
      }
      deps.onState(problem);
      const longest = problem.kind === "refused";
      const pauseMs = longest ? deps.timing.retryMaxMs : this.#pauseMs;
      this.#pauseMs = Math.min(this.#pauseMs * 2, deps.timing.retryMaxMs);
      // Half of the pause is by chance, so that nodes that lost one leader do not come back as one.
      const jittered = pauseMs / 2 + deps.random.below(Math.max(1, Math.ceil(pauseMs / 2)));
      await deps.clock.sleep(jittered, signal).catch(() => {});
    }
  }

  /** Every manager once, until one serves; then for as long as it does. */
  async #round(signal: AbortSignal): Promise<SessionState> {
    let last: SessionState = { kind: "connecting", problem: "no manager is known" };
    for (const addr of this.#order()) {
      if (signal.aborted) break;
      try {
        this.#isStale = false;
        const hello = { ...this.deps.hello(), revision: this.deps.held.helloRevision };
        const session = await this.deps.link.openSession(addr, hello, signal);
        if (isRefusal(session)) {
          last = { kind: "refused", problem: session.message };
          this.deps.log.warn({ addr, why: session.message }, "session refused");
          continue;
        }
        if (session.welcome.generation !== hello.generation)
          this.deps.onGeneration(session.welcome.generation);
        await this.#serve(session, signal);
        last = { kind: "connecting", problem: `the session with ${session.addr} ended` };
        this.#failed = undefined;
        return last;
      } catch (error) {
        if (signal.aborted || this.#reopening) break;
        // The next round begins elsewhere: a manager that is cut off costs a whole dial each time.
        this.#failed = addr;
        last = { kind: "connecting", problem: sentenceOf(error) };
        this.deps.log.info({ addr, ...faultFields(error) }, "no session");
      }
    }
    return last;
  }

  #order(): readonly string[] {
    const known = this.deps.addresses();
    const failed = this.#failed;
    if (failed === undefined || !known.includes(failed)) return known;
    return [...known.filter((addr) => addr !== failed), failed];
  }

  async #serve(session: Session, signal: AbortSignal): Promise<void> {
    const { deps } = this;
    const ended = new AbortController();
    const onAbort = () => session.close();
    signal.addEventListener("abort", onAbort, { once: true });
    const beat = () =>
      session.send({ message: { $case: "heartbeat", value: { nowMs: deps.clock.nowMs() } } });
    const { beatMs } = session.welcome;
    const beatOf = (heartbeatMs: number) => periodOf(Math.min(beatMs || heartbeatMs, heartbeatMs));
    let periodMs = beatOf(session.welcome.heartbeatPeriodMs);
    let stopBeating = deps.clock.every(periodMs, beat);
    this.#open = session;
    // Asked for while it was being opened.
    if (this.#isStale) this.reopen();
    deps.log.info({ addr: session.addr }, "session open");
    deps.onState({ kind: "open", addr: session.addr });
    this.#pauseMs = deps.timing.retryMinMs;
    const stopReporting = deps.tasks.reports.opened((value) =>
      session.send({ message: { $case: "tasks", value } }),
    );
    const stopApplied = deps.applied.opened((value) =>
      session.send({ message: { $case: "applied", value } }),
    );
    try {
      for await (const message of session.messages) {
        const heartbeatMs = this.#hear(message, session, ended.signal);
        const told = heartbeatMs === undefined ? periodMs : beatOf(heartbeatMs);
        // The same period again must not begin it anew: a manager with much to tell would never hear a beat.
        if (told === periodMs) continue;
        periodMs = told;
        stopBeating();
        stopBeating = deps.clock.every(periodMs, beat);
      }
    } finally {
      this.#open = undefined;
      stopReporting();
      stopApplied();
      stopBeating();
      signal.removeEventListener("abort", onAbort);
      ended.abort(new Fault("SESSION_ENDED", { addr: session.addr }));
      session.close();
    }
  }

  /** Answers the heartbeat period when the message sets one. */
  #hear({ message }: ManagerMessage, session: Session, signal: AbortSignal): number | undefined {
    if (message === undefined) return undefined; // Of a newer manager: what it means is not known here.
    switch (message.$case) {
      case "welcome":
        return message.value.heartbeatPeriodMs;
      case "assignments":
        this.deps.held.hear(message.value);
        return undefined;
      case "node":
        this.deps.onNode(message.value);
        return message.value.heartbeatPeriodMs || undefined;
      case "logs": {
        const { link, tasks } = this.deps;
        tasks.logs.subscribe(
          message.value,
          (batches, end) => link.publishLogs(batches, end),
          signal,
        );
        return undefined;
      }
      case "logsClosed":
        this.deps.tasks.logs.closed(message.value);
        return undefined;
      case "inquiry": {
        const { link, inquiries } = this.deps;
        inquiries.begin(message.value, (batches, end) => link.publishInquiry(batches, end));
        return undefined;
      }
      case "inquiryClosed":
        this.deps.inquiries.closed(message.value);
        return undefined;
      case "probe": {
        const report = (value: ProbeReport) => session.send({ message: { $case: "probe", value } });
        this.deps.onProbe(message.value, report, signal);
        return undefined;
      }
      case "check": {
        const value = this.deps.onCheck(message.value);
        session.send({ message: { $case: "checked", value } });
        return undefined;
      }
      default:
        return unreachable(message);
    }
  }
}

// Choice: whatever a manager says, not more often than this and not never.
const BEAT_MIN_MS = 100;
const BEAT_MAX_MS = 60_000;
function periodOf(ms: number): number {
  return Math.min(Math.max(ms, BEAT_MIN_MS), BEAT_MAX_MS);
}
