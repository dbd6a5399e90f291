// Keeps the kernel as it is wanted: looks, plans, does the steps, looks again. Looks at start, whenever
// the want changes, whenever the kernel reports a change, and every `resyncMs`.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { Kernel } from "../reconcile/kernel.js";
import type { HostWant } from "../reconcile/want.js";

export class Applier {
  constructor(_kernel: Kernel, _clock: Clock, _timing: Timing, _log: Logger) {}

  /** What is wanted from now on. Returns at once. */
  set(_want: HostWant): void {}

  /**
   * Resolves once the kernel has the endpoint and every row of its network that is known now; waits for
   * the endpoint to be wanted first. Rejects with a Fault fit for a person if its steps keep failing.
   */
  async ready(_endpointId: string, _signal: AbortSignal): Promise<void> {}

  /** Why what is wanted is not so, by endpoint id, network id or sandbox id. */
  problems(): ReadonlyMap<string, string> {
    return new Map();
  }

  /** Resolves when nothing is left to do for the present want but what `problems` says. */
  async settled(_signal: AbortSignal): Promise<void> {}

  /** Looks again soon. */
  look(): void {}

  /** Stops looking; the kernel keeps what it has. */
  async close(): Promise<void> {}
}
