// The Dispatcher service and the leader's probes: what works only on the manager that leads.
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { NotLeader } from "../../common/grpc/status.js";
import type { ProbeResult } from "../../proto/gen/control.js";
import { attach, detach } from "../control/endpoint.js";
import { findNetwork } from "../control/network-lookup.js";
import type { Caller, Consensus, ControlApi, DispatcherApi } from "../seams.js";
import type { Store } from "../store/store.js";
import { Probes } from "./probe.js";
import type { Router } from "./route.js";
import { Sessions, type SessionsOptions } from "./sessions.js";

export interface DispatchOptions extends Omit<SessionsOptions, "onProbeReport"> {
  readonly store: Store;
  readonly consensus: Consensus<unknown>;
  readonly router: Router;
}

export class Dispatch {
  readonly #probes: Probes;
  #term: { readonly sessions: Sessions; readonly signal: AbortSignal } | undefined;

  constructor(private readonly options: DispatchOptions) {
    this.#probes = new Probes(options.clock);
  }

  /** Serves sessions while `term` lasts. */
  async lead(term: AbortSignal): Promise<void> {
    const sessions = new Sessions({
      ...this.options,
      onProbeReport: (nodeId, report) => this.#probes.report(nodeId, report),
    });
    this.#term = { sessions, signal: term };
    try {
      await sessions.run(term);
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
    };
  }

  /** For Control: the leader's measurement, from any manager. */
  async *probeNetwork(
    request: Parameters<ControlApi["probeNetwork"]>[0],
    caller: Caller,
  ): AsyncIterable<ProbeResult> {
    // Found first, so that a stream has one source; a leader lost in the middle ends it with an error.
    const source = await this.options.router.onLeader(
      caller,
      async () => this.#local(request, caller),
      async (leader) => leader.control.probeNetwork(request, caller),
    );
    if (isRefusal(source)) throw new Refused(source);
    yield* source;
  }

  #local(request: Parameters<ControlApi["probeNetwork"]>[0], caller: Caller) {
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

  #leading(): { readonly sessions: Sessions; readonly signal: AbortSignal } {
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
