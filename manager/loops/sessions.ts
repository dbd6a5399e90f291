// The sessions of the nodes' agents, on the leader, for as long as it leads. A session sends what its
// node does not have yet (dispatch/following.ts), made when the last message has been taken: however
// much changes meanwhile, one wake-up waits.
import type { Clock } from "../../common/clock.js";
import { Fault, messageOf, Refused, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import { Signal } from "../../common/watch.js";
import type {
  AgentInquiry,
  AgentMessage,
  Applied,
  Check,
  CheckReport,
  Hello,
  LogSubscription,
  ManagerMessage,
  Probe,
  ProbeReport,
  TaskReport,
} from "../../proto/gen/dispatcher.js";
import { NodeState } from "../../proto/gen/types.js";
import { forgetUnheard } from "../control/node.js";
import { markNodeDown, resignManager } from "../control/session.js";
import { type Affected, affectedNodes } from "../dispatch/affected.js";
import type { NodeWay } from "../dispatch/data-path-move.js";
import { Following, NEVER_SENT } from "../dispatch/following.js";
import { Liveness } from "../dispatch/liveness.js";
import { Pace } from "../dispatch/pace.js";
import { SharedDeltas } from "../dispatch/shared-deltas.js";
import type { Caller } from "../seams.js";
import type { Store } from "../store/store.js";
import { DataPathMoves } from "./data-path-moves.js";
import {
  aborted,
  mustBeOfThisSwarm,
  receiveHello,
  recordBeginning,
  refusalFor,
} from "./session-begin.js";
import { hasApplied, Settling } from "./settle.js";
import { SilenceWatch } from "./silence.js";
import type { Writer } from "./write.js";

// Choice: this many questions (probes, logs) wait for one slow agent; more are not asked of it.
const ASKED_WAITING_MAX = 64;
// Docker's default, should the cluster's own say nothing.
const HEARTBEAT_PERIOD_MS = 5_000;
/** Docker's words for a node that missed its heartbeats. */
const HEARTBEAT_FAILURE = "heartbeat failure";

export interface SessionsOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long an agent may take to say Hello. */
  readonly helloMs: number;
  readonly onCheckReport: (nodeId: string, report: CheckReport) => void;
  /** The node's clock, as its heartbeat says. */
  readonly onClock: (nodeId: string, theirMs: number) => void;
  readonly onProbeReport: (nodeId: string, report: ProbeReport) => void;
  readonly onTaskReports: (nodeId: string, reports: readonly TaskReport[]) => void;
  readonly onEnded: (nodeId: string) => void;
}

interface Session {
  readonly nodeId: string;
  readonly wake: Signal;
  readonly end: (reason: Error) => void;
  /** Questions that wait to be sent. */
  readonly asked: ManagerMessage[];
  /** How often it was asked to beat. */
  readonly beatMs: number;
  readonly following: Following;
}

export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #liveness: Liveness;
  readonly #silence: SilenceWatch;
  readonly #settling: Settling;
  readonly #moves: DataPathMoves;
  readonly #shared = new SharedDeltas();
  readonly #pace = new Pace();

  constructor(private readonly options: SessionsOptions) {
    this.#settling = new Settling(options.clock);
    this.#liveness = new Liveness(this.#heartbeatPeriodMs());
    this.#silence = new SilenceWatch(options);
    this.#moves = new DataPathMoves(options, (revision) => this.#ways(revision));
  }

  /** Runs until this manager no longer leads; all sessions end with it. */
  async run(term: AbortSignal): Promise<void> {
    await Promise.all([this.#watch(term), this.#silence.run(term), this.#moves.run(term)]);
  }

  async #watch(term: AbortSignal): Promise<void> {
    const { store, clock, log } = this.options;
    const alive = [...store.view.nodes()].filter((node) => node.state !== NodeState.DOWN);
    this.#liveness.begin(
      alive.map(({ id }) => id),
      clock.monotonicMs(),
    );
    const unsubscribe = store.changes.subscribe((change) => {
      this.#liveness.setPeriod(this.#heartbeatPeriodMs());
      this.#note(affectedNodes(change, store.view), change.revision);
    });
    try {
      while (!term.aborted) {
        await clock.sleep(this.#untilNextLookMs(), term);
        const late = this.#liveness.takeExpired(clock.monotonicMs());
        await Promise.all(late.map((nodeId) => this.#markDown(nodeId, HEARTBEAT_FAILURE)));
      }
    } catch (error) {
      if (!term.aborted) log.error({ err: messageOf(error) }, "liveness stopped");
    } finally {
      unsubscribe();
      for (const session of this.#sessions.values()) session.end(this.#notLeading());
    }
  }

  /** Who is late is told when it is, but for what a shortened period brings forward. */
  #untilNextLookMs(): number {
    const { windowMs } = this.#liveness;
    const dueMs = this.#liveness.nextDeadlineMs() ?? Number.POSITIVE_INFINITY;
    const inMs = dueMs - this.options.clock.monotonicMs();
    return Math.min(Math.max(inMs, windowMs / 100), windowMs / 12);
  }

  /** Serves one agent until either side ends it. Throws Refused with the reason to tell the agent. */
  async serve(
    caller: Caller,
    incoming: AsyncIterable<AgentMessage>,
    send: (message: ManagerMessage) => Promise<void>,
    term: AbortSignal,
  ): Promise<void> {
    const nodeId = caller.peer?.nodeId ?? "";
    const ended = new AbortController();
    const end = (reason: unknown) => ended.abort(reason);
    const onTerm = () => end(this.#notLeading());
    const onGone = () => end(caller.signal.reason);
    term.addEventListener("abort", onTerm, { once: true });
    caller.signal.addEventListener("abort", onGone, { once: true });
    const messages = incoming[Symbol.asyncIterator]();
    let session: Session | undefined;
    try {
      const hello = await receiveHello(messages, this.options, ended.signal);
      await this.#begin(nodeId, hello, caller.remoteAddr);
      session = this.#open(nodeId, hello, end);
      const heard = this.#hear(session, messages, ended.signal);
      const told = this.#tell(session, send, ended.signal);
      await Promise.race([told, heard, aborted(ended.signal)]);
    } catch (error) {
      if (ended.signal.aborted) throw ended.signal.reason;
      const lost = error instanceof Fault && ["NOT_LEADER", "LEADERSHIP_LOST"].includes(error.code);
      throw lost ? this.#notLeading() : error;
    } finally {
      end(new Fault("SESSION_ENDED"));
      term.removeEventListener("abort", onTerm);
      caller.signal.removeEventListener("abort", onGone);
      if (session && this.#sessions.get(nodeId) === session) this.#sessions.delete(nodeId);
      if (session) this.#settling.ended(session.following);
      if (session) this.options.onEnded(nodeId);
    }
  }

  /** Asks the node's agent to measure; false when it has no session or cannot take more. */
  probe(nodeId: string, probe: Probe): boolean {
    return this.#post(nodeId, { message: { $case: "probe", value: probe } });
  }

  /** Asks what is wrong there; false as above. */
  check(nodeId: string, check: Check): boolean {
    return this.#post(nodeId, { message: { $case: "check", value: check } });
  }

  askLogs(nodeId: string, subscription: LogSubscription): boolean {
    return this.#post(nodeId, { message: { $case: "logs", value: subscription } });
  }

  closeLogs(nodeId: string, subscriptionId: number): boolean {
    return this.#post(nodeId, { message: { $case: "logsClosed", value: subscriptionId } });
  }

  inquire(nodeId: string, inquiry: AgentInquiry): boolean {
    return this.#post(nodeId, { message: { $case: "inquiry", value: inquiry } });
  }

  closeInquiry(nodeId: string, inquiryId: number): boolean {
    return this.#post(nodeId, { message: { $case: "inquiryClosed", value: inquiryId } });
  }

  #post(nodeId: string, message: ManagerMessage): boolean {
    const session = this.#sessions.get(nodeId);
    if (!session || session.asked.length >= ASKED_WAITING_MAX) return false;
    session.asked.push(message);
    session.wake.notify();
    return true;
  }

  /** Resolves when all nodes that are heard have applied it. */
  async settled(revision: number, signal: AbortSignal): Promise<void> {
    const heard: Following[] = [];
    for (const { nodeId, following } of this.#sessions.values()) {
      if (this.#silence.isSilent(nodeId)) this.#settling.ended(following);
      else heard.push(following);
    }
    await this.#settling.settled(revision, heard, signal);
  }

  /** The node says goodbye. One that never had a session gives up its join, and leaves nothing. */
  async leave(nodeId: string): Promise<void> {
    this.#liveness.forget(nodeId);
    this.#silence.forget(nodeId);
    const { writer } = this.options;
    const forgotten = await writer.write(
      (draft, nowMs) => {
        const isForgotten = forgetUnheard(draft, nodeId, nowMs);
        if (!isForgotten) resignManager(draft, nodeId);
        return isForgotten;
      },
      (_view, gone) => gone,
    );
    if (forgotten === true) return;
    await this.#markDown(nodeId, "the node left the swarm");
  }

  /** Records what the node says of itself, and counts it as heard. */
  async #begin(nodeId: string, hello: Hello, addr: string): Promise<void> {
    const { store, clock } = this.options;
    mustBeOfThisSwarm(hello, store.view);
    this.#silence.heard(nodeId, this.#beatMs());
    const silent = this.#silence.isSilent(nodeId);
    try {
      await recordBeginning(this.options, { nodeId, hello, addr, silent });
    } catch (error) {
      if (error instanceof Refused) this.#silence.forget(nodeId);
      throw error;
    }
    this.#liveness.beat(nodeId, clock.monotonicMs());
  }

  #open(nodeId: string, hello: Hello, end: (reason: Error) => void): Session {
    const newer = refuse("failed-precondition", "this node began another session");
    this.#sessions.get(nodeId)?.end(new Refused(newer));
    const session: Session = {
      nodeId,
      wake: new Signal(),
      end,
      asked: [],
      beatMs: this.#beatMs(),
      following: new Following(nodeId, this.#isOfNow(hello) ? hello.revision : 0),
    };
    this.#sessions.set(nodeId, session);
    session.wake.notify();
    return session;
  }

  async #hear(
    session: Session,
    messages: AsyncIterator<AgentMessage>,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, onCheckReport, onClock, onProbeReport, onTaskReports } = this.options;
    for (;;) {
      const next = await messages.next();
      if (next.done || signal.aborted) return;
      this.#liveness.beat(session.nodeId, clock.monotonicMs());
      this.#silence.heard(session.nodeId, session.beatMs);
      const { message } = next.value;
      if (message?.$case === "applied") this.#noteApplied(session, message.value);
      if (message?.$case === "heartbeat") onClock(session.nodeId, message.value.nowMs);
      if (message?.$case === "checked") onCheckReport(session.nodeId, message.value);
      if (message?.$case === "probe") onProbeReport(session.nodeId, message.value);
      if (message?.$case === "tasks") onTaskReports(session.nodeId, message.value.reports);
    }
  }

  async #tell(
    session: Session,
    send: (message: ManagerMessage) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { store } = this.options;
    const { following, nodeId } = session;
    // Each takes its time, and the node may be removed meanwhile: then it is told nothing more.
    const say = async (message: ManagerMessage) => {
      if (store.view.node(nodeId) === undefined) throw this.#removed(nodeId);
      await send(message);
    };
    await say({ message: { $case: "welcome", value: this.#welcome(session) } });
    for (;;) {
      await session.wake.wait(signal);
      const update = following.takeUpdate(store.view);
      if (update === "removed") throw this.#removed(nodeId);
      if (update !== undefined) await say({ message: { $case: "node", value: update } });
      if (following.assignmentsDue) {
        await this.#turn(following, signal);
        const assignments = following.takeAssignments(store.view, this.#shared);
        if (assignments === undefined) this.#settling.progressed(following);
        else await say({ message: { $case: "assignments", value: assignments } });
      }
      for (const message of session.asked.splice(0)) await say(message);
    }
  }

  /** The first message is not held back: until then the node may lack everything. */
  async #turn({ sent }: Following, signal: AbortSignal): Promise<void> {
    if (sent === NEVER_SENT) return;
    const { clock } = this.options;
    const inMs = this.#pace.takeTurn(clock.monotonicMs());
    if (inMs > 0) await clock.sleep(inMs, signal);
  }

  /** Of each node that has a session. */
  #ways(revision: number): readonly NodeWay[] {
    return [...this.#sessions.values()].map(({ nodeId, following }) => ({
      nodeId,
      applied: hasApplied(following, revision),
      ...following.way,
    }));
  }

  #noteApplied({ following }: Session, applied: Applied): void {
    following.hasApplied(applied, this.options.store.view.revision);
    this.#settling.progressed(following);
  }

  /** Costs what the change concerns, and not what there is. */
  #note(affected: Affected, revision: number): void {
    const { assignments, nodeUpdates } = affected;
    const isForAll = assignments === "all" || nodeUpdates === "all";
    const nodeIds = isForAll ? this.#sessions.keys() : [...assignments, ...nodeUpdates];
    for (const nodeId of nodeIds) {
      const session = this.#sessions.get(nodeId);
      if (session?.following.note(affected, revision)) session.wake.notify();
    }
  }

  async #markDown(nodeId: string, why: string): Promise<void> {
    const { writer, log } = this.options;
    log.warn({ node: nodeId, why }, "node is down");
    this.#silence.forget(nodeId);
    this.#sessions.get(nodeId)?.end(new Refused(refuse("unavailable", why)));
    try {
      await writer.write(
        // A node that came back while this waited is not down.
        (draft) =>
          this.#liveness.isWatched(nodeId) ? undefined : markNodeDown(draft, nodeId, why),
        () => true,
      );
    } catch (error) {
      log.warn({ node: nodeId, err: messageOf(error) }, "could not mark the node down");
    }
  }

  #welcome({ beatMs }: Session) {
    const cluster = this.options.store.view.cluster();
    return {
      clusterId: cluster?.id ?? "",
      heartbeatPeriodMs: this.#heartbeatPeriodMs(),
      dataPathPort: cluster?.dataPathPort ?? 0,
      beatMs,
      generation: cluster?.generation ?? 0,
    };
  }

  /** Revisions of before the swarm was begun anew mean something else. */
  #isOfNow({ generation }: Hello): boolean {
    return generation === (this.options.store.view.cluster()?.generation ?? 0);
  }

  #beatMs(): number {
    return this.#silence.beatMs(this.#heartbeatPeriodMs());
  }

  #heartbeatPeriodMs(): number {
    const wanted = this.options.store.view.cluster()?.spec?.heartbeatPeriodMs ?? 0;
    return wanted === 0 ? HEARTBEAT_PERIOD_MS : wanted;
  }

  #removed(nodeId: string): Refused {
    const why = refusalFor(this.options.store.view, nodeId);
    return new Refused(why ?? refuse("not-found", `node ${nodeId} not found`));
  }

  #notLeading(): Refused {
    return new Refused(refuse("unavailable", "this manager no longer leads the swarm"));
  }
}
