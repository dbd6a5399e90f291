// Questions about names of the outside: asked of one resolver after another until one answers or the time
// is over, each question once however many ask it, and remembered for as long as the answer says.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { AnswerCache } from "../dns/answer-cache.js";
import type { NameDoor, NameServer } from "../dns/door.js";
import type { Query } from "../dns/query.js";
import { reply, type Transport } from "../dns/reply.js";
import { type Heard, hear, outgoing, passOn, questionKey } from "../dns/upstream-answer.js";
import { NOERROR, NXDOMAIN, SERVFAIL } from "../dns/wire.js";

/** As Docker's: questions on their way at once, of the whole node. */
const ASKING_MAX = 1024;
// Choice: of them, what one sandbox may have, so that it cannot shut out the others.
const ASKING_MAX_ONE = 512;
// Choice: who waits for one question. They are of containers that ask over and over.
const WAITING_MAX = 256;
// Choice: programs give up after 5 seconds (resolv.conf(5), RES_TIMEOUT); they are told before that.
const TOTAL_MS = 4_000;
// Choice: then the next is asked too, and whoever answers first is believed.
const NEXT_AFTER_MS = 1_000;
const ATTEMPTS_MAX = 4;
// Choice: one that did not answer is asked last for so long.
const SHUNNED_MS = 10_000;
/**
 * RFC 9520 section 3.2: a failure is remembered for a second at least. A client that asks again at once, as
 * they do, hears of it while it still listens.
 */
const FAILED_MS = 1_000;
const FAILED_MAX = 1024;
const WARN_EVERY_MS = 60_000;

export interface Asker {
  readonly id: string;
  /** In the order in which they are asked; none: there is no way out. */
  readonly servers: readonly NameServer[];
}

export class NameForwarding {
  readonly #cache = new AnswerCache();
  readonly #asking = new Map<string, Asking>();
  readonly #askingOf = new Map<string, number>();
  /** Until when what failed is not asked again, in the order of its coming. */
  readonly #failed = new Map<string, number>();
  /** By address and namespace: until when one is asked last. */
  readonly #shunned = new Map<string, number>();
  #warnedMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly door: Pick<NameDoor, "ask">,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly log: Logger,
  ) {}

  /** Other resolvers than before: what the old ones said is forgotten. */
  forget(): void {
    this.#cache.clear();
    this.#shunned.clear();
    this.#failed.clear();
  }

  ask(asker: Asker, query: Query, transport: Transport, answer: (bytes: Buffer) => void): void {
    const fail = () => answer(reply(query, SERVFAIL, [], transport));
    if (asker.servers.length === 0) return void fail();
    const whom = asker.servers.map(nameOf).join(" ");
    const key = `${whom} ${questionKey(query)}`;
    const nowMs = this.clock.monotonicMs();
    if ((this.#failed.get(key) ?? 0) > nowMs) return void fail();
    const kept = this.#cache.get(key, nowMs);
    if (kept !== undefined)
      return void answer(passOn(query, kept.heard, kept.ageSeconds, transport));
    const tell = (heard: Heard | undefined) => {
      if (heard === undefined) fail();
      else answer(passOn(query, heard, 0, transport));
    };
    const under = this.#asking.get(key);
    if (under !== undefined) {
      if (under.waiting.length >= WAITING_MAX) return void fail();
      under.waiting.push(tell);
      return;
    }
    const own = this.#askingOf.get(asker.id) ?? 0;
    if (this.#asking.size >= ASKING_MAX || own >= ASKING_MAX_ONE) {
      this.#warn(asker.id);
      return void fail();
    }
    this.#askingOf.set(asker.id, own + 1);
    const asking = new Asking(query, this.#inOrder(asker.servers), {
      door: this.door,
      clock: this.clock,
      id: () => this.random.below(0x10000),
      silent: (server) => this.#shun(server),
      done: (heard) => {
        this.#asking.delete(key);
        const left = (this.#askingOf.get(asker.id) ?? 1) - 1;
        if (left === 0) this.#askingOf.delete(asker.id);
        else this.#askingOf.set(asker.id, left);
        if (heard === undefined) this.#fail(key);
        else this.#cache.put(key, heard, this.clock.monotonicMs());
        for (const each of asking.waiting) each(heard);
      },
    });
    asking.waiting.push(tell);
    this.#asking.set(key, asking);
    asking.next();
  }

  close(): void {
    for (const asking of [...this.#asking.values()]) asking.finish();
  }

  #fail(key: string): void {
    const nowMs = this.clock.monotonicMs();
    for (const [old, untilMs] of this.#failed) {
      if (untilMs > nowMs && this.#failed.size < FAILED_MAX) break;
      this.#failed.delete(old);
    }
    this.#failed.delete(key);
    this.#failed.set(key, nowMs + FAILED_MS);
  }

  #inOrder(servers: readonly NameServer[]): readonly NameServer[] {
    const nowMs = this.clock.monotonicMs();
    const isShunned = (server: NameServer) => (this.#shunned.get(nameOf(server)) ?? 0) > nowMs;
    return [...servers.filter((each) => !isShunned(each)), ...servers.filter(isShunned)];
  }

  #shun(server: NameServer): void {
    const nowMs = this.clock.monotonicMs();
    for (const [name, untilMs] of this.#shunned) if (untilMs <= nowMs) this.#shunned.delete(name);
    this.#shunned.set(nameOf(server), nowMs + SHUNNED_MS);
  }

  #warn(container: string): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return;
    this.#warnedMs = nowMs;
    this.log.warn({ container, limit: ASKING_MAX }, "too many names are being asked for at once");
  }
}

function nameOf({ address, netns }: NameServer): string {
  return netns === undefined ? address : `${address}@${netns}`;
}

interface AskingTools {
  readonly door: Pick<NameDoor, "ask">;
  readonly clock: Clock;
  readonly id: () => number;
  readonly silent: (server: NameServer) => void;
  readonly done: (heard: Heard | undefined) => void;
}

/** One question on its way. */
class Asking {
  readonly waiting: ((heard: Heard | undefined) => void)[] = [];
  readonly #over = new AbortController();
  readonly #open = new Set<() => void>();
  #attempts = 0;
  /** What is said if nobody says anything better. */
  #poor: Heard | undefined;

  constructor(
    private readonly query: Query,
    private readonly servers: readonly NameServer[],
    private readonly tools: AskingTools,
  ) {
    tools.clock.sleep(TOTAL_MS, this.#over.signal).then(
      () => this.finish(),
      () => {},
    );
  }

  next(): void {
    const server = this.servers[this.#attempts % this.servers.length];
    if (this.#over.signal.aborted || server === undefined || this.#attempts >= ATTEMPTS_MAX) return;
    this.#attempts++;
    const attempt = new AbortController();
    this.#send(server, "udp", () => attempt.abort());
    const signal = AbortSignal.any([attempt.signal, this.#over.signal]);
    this.tools.clock.sleep(NEXT_AFTER_MS, signal).then(
      () => {
        this.tools.silent(server);
        this.next();
      },
      () => {},
    );
  }

  finish(heard = this.#poor): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    for (const close of this.#open) close();
    this.#open.clear();
    this.tools.done(heard);
  }

  #send(server: NameServer, transport: Transport, settled: () => void): void {
    const message = outgoing(this.query, this.tools.id());
    let close = () => {};
    const over = () => {
      close();
      this.#open.delete(close);
      settled();
    };
    const failed = () => {
      over();
      this.#orElse();
    };
    close = this.tools.door.ask(
      server,
      message,
      transport,
      (bytes) => {
        const heard = hear(message, bytes);
        // Somebody else's, or garbled: the right one may still come.
        if (heard === undefined || this.#over.signal.aborted) return;
        over();
        if (heard.isTruncated && transport === "udp") return this.#send(server, "tcp", () => {});
        if (heard.code === NOERROR || heard.code === NXDOMAIN) return this.finish(heard);
        this.#poor ??= heard;
        this.#orElse();
      },
      failed,
    );
    this.#open.add(close);
  }

  /** One has failed: the next at once, if there is one that was not asked yet. */
  #orElse(): void {
    if (this.#attempts < this.servers.length) this.next();
    else if (this.#open.size === 0) this.finish();
  }
}
