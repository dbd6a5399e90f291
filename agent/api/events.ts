// /events: what happened on this node, and on a manager in the swarm; as it happens, or of a window of time.
import type { NodeEvent } from "../seams.js";
import { type Answer, stream } from "./answer.js";
import { type Call, queryText } from "./call.js";
import { type Filters, matchesExactly, matchesLabels, parseFilters } from "./filters.js";
import { badRequest } from "./http-error.js";
import { type Route, route } from "./router.js";
import { parseWhen } from "./times.js";

const FILTERS = [
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
];
// Those that name an object of their own type.
const OBJECT_FILTERS = [
  "config",
  "container",
  "daemon",
  "image",
  "network",
  "node",
  "plugin",
  "secret",
  "service",
  "volume",
];
// Choice: a client that reads slower than things happen is told so by the end of its stream.
const BACKLOG_MAX = 1_000;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

export const EVENT_ROUTES: readonly Route[] = [route("GET", "/events", events)];

function events(call: Call): Answer {
  const nowMs = call.clock.nowMs();
  const sinceNs = parseWhen(queryText(call, "since"), nowMs, "since");
  const untilNs = parseWhen(queryText(call, "until"), nowMs, "until");
  if (sinceNs !== undefined && untilNs !== undefined && sinceNs > untilNs) {
    throw badRequest("`since` time cannot be after `until` time");
  }
  const filters = parseFilters(queryText(call, "filters"), FILTERS);
  return stream("application/json", lines(call, filters, sinceNs, untilNs));
}

async function* lines(
  call: Call,
  filters: Filters,
  sinceNs: bigint | undefined,
  untilNs: bigint | undefined,
): AsyncGenerator<string> {
  // Following begins before the past is read, so that nothing falls in between.
  const follower = new Follower(call);
  try {
    if (sinceNs !== undefined) {
      for (const event of call.node.events.recent()) {
        if (event.timeNs < sinceNs || (untilNs !== undefined && event.timeNs > untilNs)) continue;
        if (isWanted(event, filters)) yield `${eventJson(event)}\n`;
      }
    }
    for await (const event of follower.untilTime(untilNs)) {
      if (isWanted(event, filters)) yield `${eventJson(event)}\n`;
    }
  } finally {
    follower.close();
  }
}

class Follower {
  readonly #queue: NodeEvent[] = [];
  #wake: (() => void) | undefined;
  #overflowed = false;
  readonly #unsubscribe: () => void;

  constructor(private readonly call: Call) {
    this.#unsubscribe = call.node.events.follow((event) => {
      if (this.#queue.length >= BACKLOG_MAX) this.#overflowed = true;
      else this.#queue.push(event);
      this.#wake?.();
    });
  }

  async *untilTime(untilNs: bigint | undefined): AsyncGenerator<NodeEvent> {
    const end = untilNs === undefined ? undefined : Number(untilNs / NS_PER_MS);
    const { signal, clock } = this.call;
    while (!signal.aborted && !this.#overflowed) {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) yield next;
      const leftMs = end === undefined ? undefined : end - clock.nowMs();
      if (leftMs !== undefined && leftMs <= 0) return;
      await this.#pause(leftMs);
    }
  }

  /** Resolves at the next event, after `ms`, or when the client is gone. */
  async #pause(ms: number | undefined): Promise<void> {
    const { signal, clock } = this.call;
    const timer = new AbortController();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      signal.addEventListener("abort", () => resolve(), { signal: timer.signal });
      if (this.#queue.length > 0 || signal.aborted) resolve();
      // setTimeout's own limit is 2^31 - 1 ms; the loop comes back here.
      if (ms !== undefined)
        void clock.sleep(Math.min(ms, 2 ** 31 - 1), timer.signal).then(resolve, () => {});
    });
    this.#wake = undefined;
    timer.abort();
  }

  close(): void {
    this.#unsubscribe();
  }
}

/** One line; the time has more digits than a number of JavaScript, so it is written as text. */
function eventJson(event: NodeEvent): string {
  const attributes = Object.fromEntries(
    Object.entries(event.attributes).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  // The three fields before API 1.22 are still given for containers, as dockerd does.
  const old =
    event.type === "container"
      ? { status: event.action, id: event.id, from: event.attributes["image"] ?? "" }
      : {};
  const head = {
    ...old,
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: attributes },
    scope: event.scope,
    time: Number(event.timeNs / NS_PER_SECOND),
  };
  return `${JSON.stringify(head).slice(0, -1)},"timeNano":${event.timeNs}}`;
}

function isWanted(event: NodeEvent, filters: Filters): boolean {
  return (
    matchesExactly(filters, "type", event.type) &&
    matchesExactly(filters, "scope", event.scope) &&
    matchesAction(filters, event.action) &&
    matchesLabels(filters, "label", event.attributes) &&
    OBJECT_FILTERS.every((type) => matchesObject(filters, type, event))
  );
}

// "exec_create" is meant by the action "exec_create: sh", as in dockerd.
function matchesAction(filters: Filters, action: string): boolean {
  const [word = ""] = action.split(":");
  return matchesExactly(filters, "event", action) || matchesExactly(filters, "event", word);
}

function matchesObject(filters: Filters, type: string, event: NodeEvent): boolean {
  const wanted = filters.get(type) ?? [];
  if (wanted.length === 0) return true;
  // A network event says which container; "--filter container=c1" shows it too.
  const related = type === "container" ? event.attributes["container"] : undefined;
  const own = event.type === type ? [event.id, event.attributes["name"]] : [related];
  return wanted.some((each) =>
    own.some(
      (have) => have !== undefined && (have === each || (each !== "" && have.startsWith(each))),
    ),
  );
}
