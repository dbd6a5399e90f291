// This node's connections to managers: one channel an address, with the certificate of the moment.

import type { ServiceError } from "@grpc/grpc-js";
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { callUnary, type UnaryMethod } from "../../common/grpc/call.js";
import { managerChannelCredentials, managerChannelOptions } from "../../common/grpc/channel.js";
import { redirectOf } from "../../common/grpc/status.js";
import type { Timing } from "../../common/timing.js";
import {
  type DispatcherClient as Client,
  DispatcherClient,
  type InquiryBatch,
  type LogBatch,
} from "../../proto/gen/dispatcher.js";
import { sentenceOf } from "../member/fault-sentence.js";
import { identityPem } from "../member/identity-pem.js";
import { locked, NO_LEADER } from "../member/words.js";
import type { ManagerLink, NodeIdentity } from "../seams.js";
import { sendBatches } from "./send-batches.js";
import { dialSession } from "./session-stream.js";

export interface LinkSettings {
  readonly timing: Timing;
  readonly timeScale: number;
  readonly clock: Clock;
  /** Where managers are believed to be, the likeliest leader first. */
  readonly addresses: () => readonly string[];
}

export class GrpcManagerLink implements ManagerLink {
  readonly #channels = new Map<string, Client>();
  /** Of the identity before: closing a channel cuts the calls on it. */
  readonly #retired: Client[] = [];
  readonly #stopping = new AbortController();
  #leader: string | undefined;

  constructor(
    private identity: NodeIdentity,
    private readonly settings: LinkSettings,
  ) {}

  /** Used for new connections from now on. What runs on the old ones goes on until the next session opens. */
  setIdentity(identity: NodeIdentity): void {
    this.identity = identity;
    this.#retired.push(...this.#channels.values());
    this.#channels.clear();
  }

  close(): void {
    this.#stopping.abort(new Fault("STOPPED"));
    this.setIdentity(this.identity);
    this.#closeRetired();
  }

  async publishLogs(batches: AsyncIterable<LogBatch>, signal: AbortSignal): Promise<void> {
    // Who asked for them is the leader of the session, and it has them or nobody.
    const addr = this.#leader ?? this.settings.addresses()[0];
    if (addr === undefined) return;
    const client = this.#client(addr);
    await sendBatches((answered) => client.publishLogs(answered), batches, signal);
  }

  async publishInquiry(batches: AsyncIterable<InquiryBatch>, signal: AbortSignal): Promise<void> {
    const addr = this.#leader ?? this.settings.addresses()[0];
    if (addr === undefined) return;
    const client = this.#client(addr);
    await sendBatches((answered) => client.publishInquiry(answered), batches, signal);
  }

  async openSession(...[addr, hello, signal]: Parameters<ManagerLink["openSession"]>) {
    const dial = (to: string) =>
      dialSession(this.#client(to), to, hello, this.settings.timing.dialMs, signal);
    const first = await dial(addr);
    const outcome = first.kind === "redirect" && first.leader ? await dial(first.leader) : first;
    if (outcome.kind === "redirect") throw new Fault("NO_LEADER", { addr });
    if (outcome.kind === "refused") return outcome.refusal;
    this.#leader = outcome.session.addr;
    this.#closeRetired();
    return outcome.session;
  }

  attach(request: Parameters<ManagerLink["attach"]>[0]) {
    return this.#ask((client) => client.attach.bind(client), request);
  }

  async detach(endpointId: string) {
    const answer = await this.#ask((client) => client.detach.bind(client), { endpointId });
    return isRefusal(answer) ? answer : undefined;
  }

  findNetwork(nameOrId: string) {
    return this.#ask((client) => client.findNetwork.bind(client), { nameOrId });
  }

  async leave() {
    await this.#ask((client) => client.leave.bind(client), {});
  }

  async settle(revision: number, timeoutMs: number) {
    const [addr] = this.#order();
    if (addr === undefined) throw noManager([], undefined);
    const { signal } = this.#stopping;
    const settle = (client: Client) => client.settle.bind(client);
    const outcome = await this.#askAt(addr, settle, { revision }, timeoutMs, signal);
    if (outcome.kind === "retry") throw noManager([addr], outcome.cause);
  }

  /** Around the managers until one answers for the leader, or the time of one request is over. */
  async #ask<Request, Response>(
    method: (client: Client) => UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response | Refusal> {
    const { clock, timing } = this.settings;
    const { signal } = this.#stopping;
    // The identity of a locked node comes without its key; nobody would be heard, however long one asks.
    if (this.identity.key.length === 0) throw noManager(this.#order(), new Refused(locked()));
    const endMs = clock.monotonicMs() + timing.requestMs;
    let cause: unknown;
    for (;;) {
      for (const addr of this.#order()) {
        const leftMs = endMs - clock.monotonicMs();
        if (leftMs <= 0) break;
        // A manager that is gone without a trace must leave time for the next one.
        const timeoutMs = Math.min(leftMs, timing.dialMs);
        const outcome = await this.#askAt(addr, method, request, timeoutMs, signal);
        if (outcome.kind === "answer") return outcome.answer;
        // Who answers "there is no leader" knows more than who does not answer.
        if (cause === undefined || !(cause instanceof Refused)) cause = outcome.cause;
      }
      if (clock.monotonicMs() + timing.retryMinMs >= endMs) {
        throw noManager(this.#order(), cause);
      }
      await clock.sleep(timing.retryMinMs, signal);
    }
  }

  async #askAt<Request, Response>(
    addr: string,
    method: (client: Client) => UnaryMethod<Request, Response>,
    request: Request,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Outcome<Response>> {
    let redirect: string | undefined;
    const onError = (error: ServiceError) => {
      redirect = redirectOf(error);
    };
    try {
      const settings = { addr, timeoutMs, signal, onError };
      const answer = await callUnary(method(this.#client(addr)), request, settings);
      if (redirect !== undefined && redirect !== addr) this.#leader = redirect;
      if (isNoLeader(answer)) return { kind: "retry", cause: NO_LEADER_NOW };
      const retry = isRefusal(answer) && (redirect !== undefined || answer.code === "unavailable");
      if (retry) return { kind: "retry", cause: new Refused(answer) };
      this.#leader = addr;
      return { kind: "answer", answer };
    } catch (error) {
      if (this.#leader === addr) this.#leader = undefined;
      if (error instanceof Fault && error.code === "RPC_FAILED") throw error;
      return { kind: "retry", cause: error };
    }
  }

  #order(): readonly string[] {
    const known = this.settings.addresses();
    return this.#leader === undefined
      ? known
      : [this.#leader, ...known.filter((addr) => addr !== this.#leader)];
  }

  #client(addr: string): Client {
    let client = this.#channels.get(addr);
    if (client === undefined) {
      const credentials = managerChannelCredentials(identityPem(this.identity));
      client = new DispatcherClient(
        addr,
        credentials,
        managerChannelOptions(this.settings.timeScale),
      );
      this.#channels.set(addr, client);
    }
    return client;
  }

  #closeRetired(): void {
    for (const client of this.#retired.splice(0)) client.close();
  }
}

/** People see its message, when they ask for something that needs a manager. */
function noManager(tried: readonly string[], cause: unknown): Fault {
  const fault = new Fault("NO_MANAGER", { tried: tried.join(" ") }, cause);
  const known = `tried ${tried.join(", ") || "none"}`;
  const why = cause === undefined ? "none is known" : sentenceOf(cause);
  const answered = cause instanceof Refused;
  fault.message = answered ? why : `No manager of the swarm answers (${known}): ${why}`;
  return fault;
}

const NO_LEADER_NOW = new Refused(refuse("unavailable", NO_LEADER));

type Outcome<Response> =
  | { readonly kind: "answer"; readonly answer: Response | Refusal }
  | { readonly kind: "retry"; readonly cause: unknown };

/** A follower that knows no leader answers this without a redirect (common/grpc/status.ts, NotLeader). */
function isNoLeader(answer: unknown): answer is Refusal {
  return isRefusal(answer) && answer.message === "this manager does not lead the swarm";
}
