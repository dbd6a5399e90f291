// Has the manager process of this node take up its seat where the node is reached now.
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import type { ManagerHost, NodeRecord } from "../seams.js";

export interface ManagerAddressDeps {
  readonly manager: Pick<ManagerHost, "started" | "status" | "setAddr">;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "resyncMs">;
  readonly log: Logger;
  readonly record: () => NodeRecord;
}

export class ManagerAddress {
  readonly #again = new Signal();

  constructor(private readonly deps: ManagerAddressDeps) {}

  /** The node is reached elsewhere now. */
  changed(): void {
    this.#again.notify();
  }

  /** Until the signal is aborted; never throws. Looks now and then, too: the process may have been away. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, timing, log } = this.deps;
    const stop = clock.every(timing.resyncMs, () => this.#again.notify());
    this.#again.notify();
    while (!signal.aborted) {
      await this.#again.wait(signal).catch(() => {});
      if (signal.aborted) break;
      await this.#look().catch((error: unknown) => {
        log.warn({ err: messageOf(error) }, "the manager process was not told of its address");
      });
    }
    stop();
  }

  async #look(): Promise<void> {
    const { manager, record, log } = this.deps;
    if (!manager.started) return;
    const status = await manager.status();
    if (isRefusal(status) || status.advertiseAddr === "") return;
    const { advertiseAddr, listenAddr } = record();
    if (status.advertiseAddr === advertiseAddr && status.listenAddr === listenAddr) return;
    const moved = await manager.setAddr({ nodeId: "", addr: advertiseAddr, listenAddr });
    if (isRefusal(moved)) log.warn({ why: moved.message }, "the manager process stays where it is");
  }
}
