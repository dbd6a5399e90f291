// The image of a task, as dockerd gets it: what names one very image and is here is not asked for; what
// may have moved (a tag) is, and when nobody answers the one that is here will do.
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf, type Refusal } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Images, RegistryAuth } from "../seams.js";
import { isImageId, isPinned } from "../task/image-reference.js";

// Choice: a registry that did not answer one task is not asked again for the next one of the same image.
const FAILURE_KEPT_MS = 30_000;
const FAILURES_MAX = 256;
// Choice: with an image here that will do, a registry that hangs holds a task up no longer than this. Who has
// answered may take its time.
const PATIENCE_MS = 5_000;

export class TaskImages {
  /** By reference: when the last pull failed, in monotonic ms. */
  readonly #failed = new Map<string, number>();

  constructor(
    private readonly images: Images,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Undefined when the image is here; else why not, in Docker's words, and what the registry said. */
  async fetch(
    reference: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly err: string; readonly why: string } | undefined> {
    const problem = this.images.problem();
    if (problem !== undefined) return { err: problem.message, why: "" };
    const isHere = !isRefusal(await this.images.get(reference));
    if (isHere && (isPinned(reference) || isImageId(reference) || this.#failedLately(reference))) {
      return undefined;
    }
    const refusal = isHere
      ? await this.#pullSoon(reference, auth, signal)
      : await this.#pull(reference, auth, signal);
    signal.throwIfAborted();
    if (refusal === undefined) {
      this.#failed.delete(reference);
      return undefined;
    }
    this.log.warn({ image: reference, err: refusal }, "image not pulled");
    if (this.#failed.size >= FAILURES_MAX) this.#failed.clear();
    this.#failed.set(reference, this.clock.monotonicMs());
    // What is here is as good as what a registry that does not answer may have.
    if (isHere || !isRefusal(await this.images.get(reference))) return undefined;
    return { err: `No such image: ${reference}`, why: refusal };
  }

  async #pullSoon(
    reference: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const patience = new AbortController();
    const answered = new AbortController();
    this.clock.sleep(PATIENCE_MS, answered.signal).then(
      () => patience.abort(new Error("the registry did not answer in time")),
      () => undefined,
    );
    try {
      const either = AbortSignal.any([signal, patience.signal]);
      return await this.#pull(reference, auth, either, () => answered.abort());
    } finally {
      answered.abort();
    }
  }

  async #pull(
    reference: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal,
    report: () => void = () => {},
  ): Promise<string | undefined> {
    try {
      const options = { platform: undefined, auth };
      const refusal: Refusal | undefined = await this.images.pull(
        reference,
        options,
        report,
        signal,
      );
      return refusal?.message;
    } catch (error) {
      return messageOf(error);
    }
  }

  #failedLately(reference: string): boolean {
    const atMs = this.#failed.get(reference);
    return atMs !== undefined && this.clock.monotonicMs() - atMs < FAILURE_KEPT_MS;
  }
}
