// What only a node can see (its frames, its tables), asked on the leader through the nodes' sessions. A node that is
// ready with more than the asker has taken waits, and with it its reading.
import type { Clock } from "../../common/clock.js";
import { Fault, Refused, refuse } from "../../common/fault.js";
import { Signal } from "../../common/watch.js";
import type { InquireRequest, InquiryPart } from "../../proto/gen/control.js";
import type { AgentInquiry, InquiryBatch } from "../../proto/gen/dispatcher.js";
import type { Store } from "../store/store.js";

// Choices: an inquiry costs up to a megabyte here, and work on many nodes.
const INQUIRIES_MAX = 64;
const WAITING_BYTES_MAX = 1024 * 1024;
// Choice: an agent that was asked begins at once; one that has not by then cannot, or is too old.
const BEGIN_MS = 10_000;
const LOOK_MS = 500;

/** The part of Sessions that this needs. Both answer false when the node has no session. */
export interface InquirySessions {
  inquire(nodeId: string, inquiry: AgentInquiry): boolean;
  closeInquiry(nodeId: string, inquiryId: number): boolean;
}

export interface InquiryBrokerOptions {
  readonly store: Store;
  readonly clock: Clock;
}

type NodeState = "asked" | "publishing" | "over";

interface Asker {
  readonly id: number;
  readonly askedMs: number;
  readonly nodes: Map<string, NodeState>;
  readonly parts: InquiryPart[];
  readonly wake: Signal;
  waitingBytes: number;
  roomWanted: (() => void)[];
  closed: boolean;
  /** What ends the waiting for each node that publishes, when it is closed. */
  readonly leaving: Map<string, () => void>;
}

export class InquiryBroker {
  readonly #askers = new Map<number, Asker>();
  #lastId = 0;

  constructor(
    private readonly options: InquiryBrokerOptions,
    private readonly sessions: InquirySessions,
  ) {}

  async *inquire(
    { nodeIds, inquiry }: InquireRequest,
    term: AbortSignal,
    caller: AbortSignal,
  ): AsyncIterable<InquiryPart> {
    const asker = this.#open(nodeIds);
    try {
      for (const nodeId of asker.nodes.keys()) {
        const asked = this.sessions.inquire(nodeId, { inquiryId: asker.id, inquiry });
        if (!asked) fail(asker, nodeId, "the node is not connected to the leader");
      }
      yield* this.#parts(asker, AbortSignal.any([term, caller]));
    } catch (error) {
      if (caller.aborted) return;
      if (!term.aborted) throw error;
      throw new Refused(refuse("unavailable", "this manager no longer leads the swarm"));
    } finally {
      this.#askers.delete(asker.id);
      asker.closed = true;
      for (const leave of asker.leaving.values()) leave();
      for (const [nodeId, state] of asker.nodes) {
        if (state !== "over") this.sessions.closeInquiry(nodeId, asker.id);
      }
      take(asker);
    }
  }

  /** A node's stream, until the node closes it; throws Refused when nobody waits for it any more. */
  async publish(nodeId: string, incoming: AsyncIterable<InquiryBatch>): Promise<void> {
    const batches = incoming[Symbol.asyncIterator]();
    let asker: Asker | undefined;
    try {
      for (;;) {
        const next = await nextOf(batches, asker, nodeId);
        if (next === undefined) throw gone();
        if (next.done === true) return;
        const { inquiryId, parts, last } = next.value;
        asker = this.#askers.get(inquiryId);
        const state = asker?.nodes.get(nodeId);
        if (asker === undefined || state === undefined || state === "over") throw gone();
        asker.nodes.set(nodeId, last ? "over" : "publishing");
        await push(asker, nodeId, parts);
        if (asker.closed) throw gone();
        if (last) return;
      }
    } finally {
      // A stream that is cut off ends as one that is closed; only the last batch tells them apart.
      if (asker?.nodes.get(nodeId) === "publishing") {
        fail(asker, nodeId, "the node stopped answering");
      }
    }
  }

  /** A node's session is over; what it still publishes is taken all the same. */
  ended(nodeId: string): void {
    for (const asker of this.#askers.values()) {
      if (asker.nodes.get(nodeId) === "asked") fail(asker, nodeId, "the node's session ended");
    }
  }

  #open(nodeIds: readonly string[]): Asker {
    if (this.#askers.size >= INQUIRIES_MAX) {
      const sentence = `${INQUIRIES_MAX} others ask the nodes already; try again later`;
      throw new Refused(refuse("resource-exhausted", sentence));
    }
    const { clock, store } = this.options;
    for (const id of nodeIds) {
      if (store.view.node(id) === undefined) {
        throw new Refused(refuse("not-found", `node ${id} not found`));
      }
    }
    // Agents tell inquiries apart by it, across leaders too.
    this.#lastId = Math.max(this.#lastId + 1, Math.floor(clock.nowMs()));
    const asker: Asker = {
      id: this.#lastId,
      askedMs: clock.monotonicMs(),
      nodes: new Map(nodeIds.map((id) => [id, "asked"])),
      parts: [],
      wake: new Signal(),
      waitingBytes: 0,
      roomWanted: [],
      closed: false,
      leaving: new Map(),
    };
    this.#askers.set(asker.id, asker);
    return asker;
  }

  async *#parts(asker: Asker, signal: AbortSignal): AsyncIterable<InquiryPart> {
    const { clock } = this.options;
    for (;;) {
      // Judged before what came is taken: more may come, and the last node be done, while it is handed on.
      const isOver = [...asker.nodes.values()].every((state) => state === "over");
      yield* take(asker);
      if (isOver) return;
      const done = new AbortController();
      const waits = AbortSignal.any([signal, done.signal]);
      const wait = [asker.wake.wait(waits), clock.sleep(LOOK_MS, waits)];
      try {
        await Promise.race(wait);
      } finally {
        done.abort(new Fault("INQUIRY_LOOK"));
        await Promise.allSettled(wait);
      }
      if (clock.monotonicMs() - asker.askedMs < BEGIN_MS) continue;
      for (const [nodeId, state] of asker.nodes) {
        if (state === "asked") fail(asker, nodeId, "the node did not answer in time");
      }
    }
  }
}

/** Undefined: the asker has gone. A node that has nothing to tell is not to go on looking for nobody. */
function nextOf(
  batches: AsyncIterator<InquiryBatch>,
  asker: Asker | undefined,
  nodeId: string,
): Promise<IteratorResult<InquiryBatch> | undefined> {
  return new Promise((resolve, reject) => {
    asker?.leaving.set(nodeId, () => resolve(undefined));
    batches.next().then(resolve, reject);
  });
}

/** Which node answers is what its certificate says. */
async function push(asker: Asker, nodeId: string, parts: readonly InquiryPart[]): Promise<void> {
  for (const part of parts) add(asker, { ...part, nodeId });
  while (asker.waitingBytes > WAITING_BYTES_MAX && !asker.closed) {
    await new Promise<void>((resolve) => asker.roomWanted.push(resolve));
  }
}

function fail(asker: Asker, nodeId: string, why: string): void {
  asker.nodes.set(nodeId, "over");
  add(asker, { nodeId, part: { $case: "failed", value: why } });
}

function add(asker: Asker, part: InquiryPart): void {
  asker.parts.push(part);
  asker.waitingBytes += bytesOf(part);
  asker.wake.notify();
}

// A part's, or frame's, own bytes beside its data.
const PART_BYTES = 128;

function bytesOf({ part }: InquiryPart): number {
  if (part?.$case !== "frames") return 4 * PART_BYTES;
  const { frames } = part.value;
  return frames.reduce((sum, { data }) => sum + data.length + PART_BYTES, PART_BYTES);
}

/** Everything that waits; who waited for room goes on. */
function take(asker: Asker): readonly InquiryPart[] {
  const taken = asker.parts.splice(0);
  asker.waitingBytes = 0;
  for (const goOn of asker.roomWanted.splice(0)) goOn();
  return taken;
}

function gone(): Refused {
  return new Refused(refuse("not-found", "nobody waits for this answer any more"));
}
