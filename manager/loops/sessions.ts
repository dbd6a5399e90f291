// The sessions of the nodes' agents, on the leader, for as long as it leads. A session sends what its
// node does not have yet, computed when the last message has been taken: however much changes
// meanwhile, one wake-up waits, and a slow agent gets fewer and larger deltas.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf, Refused, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import { Signal } from "../../common/watch.js";
import {
  type AgentMessage,
  type Hello,
  type ManagerMessage,
  NodeUpdate,
  type Probe,
  type ProbeReport,
} from "../../proto/gen/dispatcher.js";
import { NodeState } from "../../proto/gen/types.js";
import { forgetUnheard } from "../control/node.js";
import { markNodeDown, recordNodeSession } from "../control/session.js";
import { affectedNodes } from "../dispatch/affected.js";
import { assignmentsFor, isEmptyDelta } from "../dispatch/assignments.js";
import { Liveness } from "../dispatch/liveness.js";
import { nodeUpdateFor } from "../dispatch/node-update.js";
import type { Caller } from "../seams.js";
import type { Store } from "../store/store.js";
import type { Writer } from "./write.js";

// Choice: probes of this many networks at once wait for one slow agent; more are not asked of it.
const PROBES_WAITING_MAX = 16;
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
  readonly onProbeReport: (nodeId: string, report: ProbeReport) => void;
}

interface Session {
  readonly nodeId: string;
  readonly wake: Signal;
  readonly end: (reason: Error) => void;
  readonly probes: Probe[];
  /** What the agent holds. */
  revision: number;
  assignmentsDue: boolean;
  updateDue: boolean;
  /** The last NodeUpdate sent, encoded: it is sent again only when it says something else. */
  lastUpdate: Uint8Array | undefined;
}

export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #liveness: Liveness;

  constructor(private readonly options: SessionsOptions) {
    this.#liveness = new Liveness(this.#heartbeatPeriodMs());
  }

  /** Runs until this manager no longer leads; all sessions end with it. */
  async run(term: AbortSignal): Promise<void> {
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
      const hello = await this.#hello(messages, ended.signal);
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
    }
  }

  /** Asks the node's agent to measure; false when it has no session or cannot take more. */
  probe(nodeId: string, probe: Probe): boolean {
    const session = this.#sessions.get(nodeId);
    if (!session || session.probes.length >= PROBES_WAITING_MAX) return false;
    session.probes.push(probe);
    session.wake.notify();
    return true;
  }

  /** The node says goodbye. One that never had a session gives up its join, and leaves nothing. */
  async leave(nodeId: string): Promise<void> {
    this.#liveness.forget(nodeId);
    const { writer } = this.options;
    const forgotten = await writer.write(
      (draft, nowMs) => forgetUnheard(draft, nodeId, nowMs),
      (_view, gone) => gone,
    );
    if (forgotten === true) return;
    await this.#markDown(nodeId, "the node left the swarm");
  }

  async #hello(messages: AsyncIterator<AgentMessage>, signal: AbortSignal): Promise<Hello> {
    const late = new AbortController();
    const timeout = this.options.clock.sleep(this.options.helloMs, late.signal).then(() => {
      throw new Refused(refuse("failed-precondition", "the agent did not say hello in time"));
    });
    try {
      const first = await Promise.race([messages.next(), timeout, aborted(signal)]);
      const message = first.done ? undefined : first.value.message;
      if (message?.$case === "hello") return message.value;
      throw new Refused(refuse("invalid-argument", "a session begins with Hello"));
    } finally {
      timeout.catch(() => {});
      late.abort(new Fault("SESSION_ENDED"));
    }
  }

  /** Records what the node says of itself; costs no entry when nothing is new. */
  async #begin(nodeId: string, hello: Hello, addr: string): Promise<void> {
    const { store, writer, clock } = this.options;
    const cluster = store.view.cluster();
    if (hello.clusterId !== "" && hello.clusterId !== cluster?.id) {
      throw new Refused(refuse("failed-precondition", "this manager belongs to another swarm"));
    }
    const { description, dataPathAddr } = hello;
    const recorded = await writer.write(
      (draft) => recordNodeSession(draft, { nodeId, description, addr, dataPathAddr }),
      () => true,
    );
    if (isRefusal(recorded)) throw new Refused(this.#refusalFor(nodeId) ?? recorded);
    this.#liveness.beat(nodeId, clock.monotonicMs());
  }

  #open(nodeId: string, hello: Hello, end: (reason: Error) => void): Session {
    const newer = refuse("failed-precondition", "this node began another session");
    this.#sessions.get(nodeId)?.end(new Refused(newer));
    const session: Session = {
      nodeId,
      wake: new Signal(),
      end,
      probes: [],
      revision: hello.revision,
      assignmentsDue: true,
      updateDue: true,
      lastUpdate: undefined,
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
    const { clock, onProbeReport } = this.options;
    for (;;) {
      const next = await messages.next();
      if (next.done || signal.aborted) return;
      this.#liveness.beat(session.nodeId, clock.monotonicMs());
      const { message } = next.value;
      if (message?.$case === "probe") onProbeReport(session.nodeId, message.value);
    }
  }

  async #tell(
    session: Session,
    send: (message: ManagerMessage) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    await send({ message: { $case: "welcome", value: this.#welcome() } });
    let first = true;
    for (;;) {
      await session.wake.wait(signal);
      if (session.updateDue) await this.#tellUpdate(session, send);
      if (session.assignmentsDue) await this.#tellAssignments(session, send, first);
      first = false;
      for (const probe of session.probes.splice(0)) {
        await send({ message: { $case: "probe", value: probe } });
      }
    }
  }

  async #tellUpdate(
    session: Session,
    send: (message: ManagerMessage) => Promise<void>,
  ): Promise<void> {
    session.updateDue = false;
    const update = nodeUpdateFor(this.options.store.view, session.nodeId);
    if (!update) {
      const why = this.#refusalFor(session.nodeId);
      throw new Refused(why ?? refuse("not-found", `node ${session.nodeId} not found`));
    }
    const bytes = NodeUpdate.encode(update).finish();
    if (session.lastUpdate && Buffer.compare(session.lastUpdate, bytes) === 0) return;
    session.lastUpdate = bytes;
    await send({ message: { $case: "node", value: update } });
  }

  async #tellAssignments(
    session: Session,
    send: (message: ManagerMessage) => Promise<void>,
    first: boolean,
  ): Promise<void> {
    session.assignmentsDue = false;
    const { view } = this.options.store;
    const assignments = assignmentsFor(view, session.nodeId, session.revision);
    session.revision = assignments.revision;
    // The first is sent even if empty: the agent waits for it to know that it is up to date.
    if (!first && isEmptyDelta(assignments)) return;
    await send({ message: { $case: "assignments", value: assignments } });
  }

  #note(affected: ReturnType<typeof affectedNodes>, revision: number): void {
    for (const session of this.#sessions.values()) {
      const concerns = (nodes: "all" | ReadonlySet<string>) =>
        nodes === "all" || nodes.has(session.nodeId);
      if (concerns(affected.nodeUpdates)) session.updateDue = true;
      if (concerns(affected.assignments)) session.assignmentsDue = true;
      // A change that does not concern the node is known to it by not concerning it; so a quiet node
      // does not fall out of the memory of changes.
      else if (!session.assignmentsDue) session.revision = revision;
      if (session.updateDue || session.assignmentsDue) session.wake.notify();
    }
  }

  async #markDown(nodeId: string, why: string): Promise<void> {
    const { writer, log } = this.options;
    log.warn({ node: nodeId, why }, "node is down");
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

  #welcome() {
    const cluster = this.options.store.view.cluster();
    return {
      clusterId: cluster?.id ?? "",
      heartbeatPeriodMs: this.#heartbeatPeriodMs(),
      dataPathPort: cluster?.dataPathPort ?? 0,
    };
  }

  #heartbeatPeriodMs(): number {
    const wanted = this.options.store.view.cluster()?.spec?.heartbeatPeriodMs ?? 0;
    return wanted === 0 ? HEARTBEAT_PERIOD_MS : wanted;
  }

  #refusalFor(nodeId: string) {
    const { view } = this.options.store;
    if (view.node(nodeId) || !view.cluster()) return undefined;
    return refuse(
      "permission-denied",
      `node ${nodeId} was removed from the swarm; leave the swarm there, then join again`,
    );
  }

  #notLeading(): Refused {
    return new Refused(refuse("unavailable", "this manager no longer leads the swarm"));
  }
}

/** Rejects when aborted; never resolves. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
