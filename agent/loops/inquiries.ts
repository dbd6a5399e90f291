// What managers ask of this node that only it can see, and what this node's own people ask of it in the same words.
// An answer is made as fast as it is taken: who asks and does not read holds up the looking, not this process.
import { Fault, messageOf, Refused } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Inquiry, InquiryPart } from "../../proto/gen/control.js";
import type { AgentInquiry, InquiryBatch } from "../../proto/gen/dispatcher.js";
import type { SessionInquiries } from "./session.js";

// Choice: each has sockets with buffers of megabytes.
const INQUIRIES_MAX = 16;

/** Throws Refused, with the reason for a person. Ends with the signal. */
export type Answer = (inquiry: Inquiry, signal: AbortSignal) => AsyncIterable<InquiryPart["part"]>;

export class Inquiries implements SessionInquiries {
  readonly #open = new Map<number, AbortController>();
  readonly #stopping = new AbortController();
  #count = 0;

  constructor(
    private readonly answer: Answer,
    private readonly log: Logger,
  ) {}

  /** It goes on when the session is opened anew: what it is answered by is a stream of its own, which the leader ends. */
  begin(...[asked, publish]: Parameters<SessionInquiries["begin"]>): void {
    const { inquiryId, inquiry } = asked;
    // A leader before may have used the same number.
    this.#open.get(inquiryId)?.abort(new Fault("INQUIRY_CLOSED"));
    const closed = new AbortController();
    this.#open.set(inquiryId, closed);
    const signal = AbortSignal.any([closed.signal, this.#stopping.signal]);
    publish(this.#batches(asked, inquiry, signal), signal)
      .catch((error: unknown) => this.log.debug({ err: messageOf(error) }, "answer not published"))
      .finally(() => {
        closed.abort(new Fault("INQUIRY_CLOSED"));
        if (this.#open.get(inquiryId) === closed) this.#open.delete(inquiryId);
      });
  }

  closed(inquiryId: number): void {
    this.#open.get(inquiryId)?.abort(new Fault("INQUIRY_CLOSED"));
  }

  close(): void {
    this.#stopping.abort(new Fault("STOPPED"));
  }

  /** First `begun`, at last `ended` or `failed`; ends early, and never throws, when the signal is aborted. */
  async *parts(
    inquiry: Inquiry | undefined,
    caller: AbortSignal,
  ): AsyncGenerator<InquiryPart["part"]> {
    if (this.#count >= INQUIRIES_MAX) {
      const value = `the node answers ${INQUIRIES_MAX} inquiries already; try again later`;
      yield { $case: "failed", value };
      return;
    }
    this.#count++;
    const signal = AbortSignal.any([caller, this.#stopping.signal]);
    try {
      yield { $case: "begun", value: {} };
      yield* this.answer(inquiry ?? { question: undefined }, signal);
      yield { $case: "ended", value: {} };
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused)) {
        this.log.warn({ err: messageOf(error) }, "an inquiry could not be answered");
      }
      yield { $case: "failed", value: messageOf(error) };
    } finally {
      this.#count--;
    }
  }

  async *#batches(
    { inquiryId }: AgentInquiry,
    inquiry: Inquiry | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<InquiryBatch> {
    for await (const part of this.parts(inquiry, signal)) {
      yield { inquiryId, parts: [{ nodeId: "", part }], last: false };
    }
    if (!signal.aborted) yield { inquiryId, parts: [], last: true };
  }
}
