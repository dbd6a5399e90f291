// Pulls of one image at once are one pull: who comes later hears what was said so far, and what follows.
// It goes on while anybody wants it.
import type { Refusal } from "../../common/fault.js";
import type { Progress } from "../seams.js";

type Report = (progress: Progress) => void;
type Work = (report: Report, signal: AbortSignal) => Promise<Refusal | undefined>;

interface Shared {
  readonly ending: AbortController;
  readonly listeners: Set<Report>;
  /** The last that was said of each layer, in the order of their first mention. */
  readonly said: Map<string, Progress>;
  readonly result: Promise<Refusal | undefined>;
}

export class SharedPulls {
  readonly #running = new Map<string, Shared>();

  /** `key` says what is the same: image, platform, and whose right to it. */
  async join(
    key: string,
    work: Work,
    report: Report,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    signal.throwIfAborted();
    const shared = this.#running.get(key) ?? this.#begin(key, work);
    for (const progress of shared.said.values()) report(progress);
    const listener: Report = (progress) => report(progress);
    shared.listeners.add(listener);
    let onAbort: (() => void) | undefined;
    const left = new Promise<never>((_, reject) => {
      onAbort = () => {
        shared.listeners.delete(listener);
        if (shared.listeners.size === 0) this.#end(key, shared, signal.reason);
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      return await Promise.race([shared.result, left]);
    } finally {
      if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
      shared.listeners.delete(listener);
    }
  }

  #begin(key: string, work: Work): Shared {
    const ending = new AbortController();
    const listeners = new Set<Report>();
    const said = new Map<string, Progress>();
    const report: Report = (progress) => {
      said.set(progress.id ?? progress.status ?? "", progress);
      for (const listener of listeners) listener(progress);
    };
    // It begins when its first listener is there.
    const result = Promise.resolve()
      .then(() => work(report, ending.signal))
      .finally(() => {
        if (this.#running.get(key) === shared) this.#running.delete(key);
      });
    result.catch(() => undefined);
    const shared: Shared = { ending, listeners, said, result };
    this.#running.set(key, shared);
    return shared;
  }

  #end(key: string, shared: Shared, reason: unknown): void {
    // Who comes now begins anew.
    if (this.#running.get(key) === shared) this.#running.delete(key);
    shared.ending.abort(reason);
  }
}
