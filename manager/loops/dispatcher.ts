// The Dispatcher service and the leader's probes: what works only on the manager that leads.
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { NotLeader } from "../../common/grpc/status.js";
import type {
  InquireRequest,
  InquiryPart,
  LogMessage,
  LogsRequest,
  NodeCheck,
  NodeClock,
  ProbeResult,
} from "../../proto/gen/control.js";
import { attach, detach } from "../control/endpoint.js";
import { findNetwork } from "../control/network-lookup.js";
import { Clocks } from "../dispatch/clocks.js";
import type { Heard } from "../dispatch/findings.js";
import type { Caller, Consensus, ControlApi, DispatcherApi } from "../seams.js";
import type { Store } from "../store/store.js";
import { Checks } from "./check.js";
import { InquiryBroker } from "./inquiries.js";
import { LogBroker } from "./logs.js";
import { Probes } from "./probe.js";
import { Reports } from "./reports.js";
import type { Router } from "./route.js";
import { Sessions, type SessionsOptions } from "./sessions.js";

export interface DispatchOptions
  extends Omit<
    SessionsOptions,
    "onCheckReport" | "onClock" | "onProbeReport" | "onTaskReports" | "onEnded"
  > {
  readonly store: Store;
  readonly consensus: Consensus<unknown>;
  readonly router: Router;
}

interface Term {
  readonly sessions: Sessions;
  readonly heard: Heard;
  readonly logs: LogBroker;
  readonly inquiries: InquiryBroker;
  readonly signal: AbortSignal;
}

export class Dispatch {
  readonly #checks: Checks;
  readonly #probes: Probes;
  #term: Term | undefined;

  constructor(private readonly options: DispatchOptions) {
    this.#checks = new Checks(options.clock);
    this.#probes = new Probes(options.clock);
  }

  /** Serves sessions while `term` lasts. */
  async lead(term: AbortSignal): Promise<void> {
    const reports = new Reports(this.options);
    const clocks = new Clocks();
    const { clock, consensus, store } = this.options;
    const sessions = new Sessions({
      ...this.options,
      onCheckReport: (nodeId, report) => this.#checks.report(nodeId, report),
      onClock: (nodeId, theirMs) => clocks.heard(nodeId, theirMs, clock.nowMs()),
      onProbeReport: (nodeId, report) => this.#probes.report(nodeId, report),
      onTaskReports: (nodeId, statuses) => reports.note(nodeId, statuses),
      onEnded: (nodeId) => {
        clocks.forget(nodeId);
        logs.ended(nodeId);
        inquiries.ended(nodeId);
      },
    });
    const logs = new LogBroker(this.options, sessions);
    const inquiries = new InquiryBroker(this.options, sessions);
    const heard = {
      clockAheadMs: (nodeId: string) => clocks.aheadMs(nodeId),
      answers: (raftId: number) => consensus.reachable(raftId),
    };
    this.#term = { sessions, heard, logs, inquiries, signal: term };
    try {
      const watched = this.#checks.watch(store.view, heard, term);
      await Promise.all([sessions.run(term), reports.run(term), watched]);
    } finally {
      this.#term = undefined;
    }
  }

  api(): DispatcherApi {
    const { store, writer, consensus } = this.options;
    return {
      session: (caller, incoming, send) => {
        const { sessions, signal } = this.#leading();
        return sessions.serve(caller, incoming, send, signal);
      },
      attach: this.#onLeader((request, caller) =>
        writer.write(
          (draft) => attach(draft, request, nodeOf(caller)),
          (view, { endpoint, network }) => ({
            endpoint: view.endpoint(request.endpointId) ?? endpoint,
            network: view.network(network?.id ?? "") ?? network,
          }),
        ),
      ),
      detach: this.#onLeader((request, caller) =>
        writer.write(
          (draft, nowMs) => detach(draft, request.endpointId, nodeOf(caller), nowMs),
          () => ({}),
        ),
      ),
      findNetwork: this.#onLeader(async (request, caller) => {
        await consensus.readBarrier(caller.signal);
        return findNetwork(store.view, request.nameOrId);
      }),
      leave: this.#onLeader(async (_request, caller) => {
        await this.#leading().sessions.leave(nodeOf(caller));
        return {};
      }),
      settle: this.#onLeader(async ({ revision }, caller) => {
        nodeOf(caller);
        const { sessions, signal } = this.#leading();
        await sessions.settled(revision, AbortSignal.any([signal, caller.signal]));
        return {};
      }),
      publishLogs: async (caller, incoming) => {
        await this.#leading().logs.publish(nodeOf(caller), incoming);
        return {};
      },
      publishInquiry: async (caller, incoming) => {
        await this.#leading().inquiries.publish(nodeOf(caller), incoming);
        return {};
      },
    };
  }

  /** For Control: of each node that has a session and has said its time. */
  clocks(): readonly NodeClock[] {
    const heard = this.#term?.heard;
    if (heard === undefined) return [];
    return [...this.options.store.view.nodes()].flatMap(({ id }) => {
      const aheadMs = heard.clockAheadMs(id);
      return aheadMs === undefined ? [] : [{ nodeId: id, aheadMs }];
    });
  }

  /** For Control: the leader's measurement, from any manager. */
  async *probeNetwork(
    request: Parameters<ControlApi["probeNetwork"]>[0],
    caller: Caller,
  ): AsyncIterable<ProbeResult> {
    // Found first, so that a stream has one source; a leader lost in the middle ends it with an error.
    const source = await this.options.router.onLeader(
      caller,
      () => this.#local(request, caller),
      async (leader) => leader.control.probeNetwork(request, caller),
    );
    if (isRefusal(source)) throw new Refused(source);
    yield* source;
  }

  /** For Control: what is wrong in the swarm, from any manager. */
  async *checkSwarm(
    request: Parameters<ControlApi["checkSwarm"]>[0],
    caller: Caller,
  ): AsyncIterable<NodeCheck> {
    const { store, router, consensus } = this.options;
    const source = await router.onLeader(
      caller,
      async () => {
        await consensus.readBarrier(caller.signal);
        const { sessions, heard } = this.#leading();
        return this.#checks.run(request, store.view, sessions, heard, caller.signal);
      },
      async (leader) => leader.control.checkSwarm(request, caller),
    );
    if (isRefusal(source)) throw new Refused(source);
    yield* source;
  }

  /** For Control: the output of tasks, from any manager. */
  async *serviceLogs(request: LogsRequest, caller: Caller): AsyncIterable<LogMessage> {
    const { router, consensus } = this.options;
    const source = await router.onLeader(
      caller,
      async () => {
        await consensus.readBarrier(caller.signal);
        const { logs, signal } = this.#leading();
        return logs.read(request, signal, caller.signal);
      },
      async (leader) => leader.control.serviceLogs(request, caller),
    );
    if (isRefusal(source)) throw new Refused(source);
    yield* source;
  }

  /** For Control: what nodes answer, from any manager. */
  async *inquire(request: InquireRequest, caller: Caller): AsyncIterable<InquiryPart> {
    const source = await this.options.router.onLeader(
      caller,
      async () => {
        await this.options.consensus.readBarrier(caller.signal);
        const { inquiries, signal } = this.#leading();
        return inquiries.inquire(request, signal, caller.signal);
      },
      async (leader) => leader.control.inquire(request, caller),
    );
    if (isRefusal(source)) throw new Refused(source);
    yield* source;
  }

  async #local(request: Parameters<ControlApi["probeNetwork"]>[0], caller: Caller) {
    await this.options.consensus.readBarrier(caller.signal);
    const { sessions } = this.#leading();
    return this.#probes.run(request, this.options.store.view, sessions, caller.signal);
  }

  #onLeader<Request, Response>(
    run: (request: Request, caller: Caller) => Promise<Response | Refusal>,
  ) {
    return async (request: Request, caller: Caller): Promise<Response | Refusal> => {
      this.#leading();
      try {
        return await run(request, caller);
      } catch (error) {
        const lost = error instanceof Fault && LOST.has(error.code);
        throw lost ? new NotLeader(undefined, error.code === "LEADERSHIP_LOST") : error;
      }
    };
  }

  #leading(): Term {
    this.options.router.assertLeads();
    if (!this.#term) throw new NotLeader(undefined);
    return this.#term;
  }
}

/** Faults of a leader that leads no more; the agent asks the next one, and may: these calls are repeatable. */
const LOST = new Set(["NOT_LEADER", "LEADERSHIP_LOST"]);

/** Sessions come over TLS only; the admission interceptor has seen to the certificate. */
function nodeOf(caller: Caller): string {
  if (caller.peer) return caller.peer.nodeId;
  throw new Refused(refuse("permission-denied", "a node certificate of this swarm is necessary"));
}
