// Keeps the agent's copy of the node's key as the manager process keeps its own: sealed with the swarm's
// unlock key while this node is a manager of an autolocked swarm (docs/autolock.md). A manager process that
// ended while the agent ran is unlocked again: what the lock is for is a machine that was off.
import type { Clock } from "../../common/clock.js";
import { faultFields, isRefusal, type Refusal } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { NodeKeys } from "../../proto/gen/admin.js";
import type { IdentityDisk, ManagerHost } from "../seams.js";

export interface KeyKeepingDeps {
  readonly manager: ManagerHost;
  readonly identityDisk: IdentityDisk;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
  /** Whether this node is a manager, and is to stay one as far as is known. */
  readonly isManager: () => boolean;
}

export class KeyKeeping {
  #known: NodeKeys | undefined;
  #locked = false;

  constructor(private readonly deps: KeyKeepingDeps) {}

  /** Whether the manager process needs an unlock key that is not known here. */
  get locked(): boolean {
    return this.#locked && this.deps.manager.started;
  }

  /** Until the signal is aborted; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, timing, log } = this.deps;
    while (!signal.aborted) {
      try {
        if (await this.#look(signal)) continue;
      } catch (error) {
        // The process starts, or nothing has changed for as long as one question waits.
        log.debug(faultFields(error), "the manager process did not tell its keys");
      }
      await clock.sleep(timing.retryMinMs, signal).catch(() => {});
    }
  }

  /** This node is no manager any more. Its key is not sealed when this resolves. */
  async forget(): Promise<void> {
    this.#known = undefined;
    this.#locked = false;
    await this.deps.identityDisk.sealWith(undefined);
  }

  /** Whether to look again at once. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { manager, identityDisk, isManager } = this.deps;
    if (!manager.started || !isManager()) return false;
    const answer = await manager.keys(this.#known?.version, signal);
    if (!isManager()) return false;
    if (isRefusal(answer)) return this.#unlock(answer);
    this.#locked = false;
    await identityDisk.sealWith(answer.unlockKey.length > 0 ? answer.unlockKey : undefined);
    // Demoted meanwhile: what is known of the old seat's keys says nothing of the next one's.
    if (!isManager()) return false;
    this.#known = answer;
    return true;
  }

  /** With the key that it had before it ended. */
  async #unlock({ code }: Refusal): Promise<boolean> {
    if (code !== "failed-precondition") return false;
    const { manager, log } = this.deps;
    const key = this.#known?.unlockKey;
    const answer = key === undefined || key.length === 0 ? undefined : await manager.unlock(key);
    const unlocked = answer !== undefined && !isRefusal(answer);
    if (unlocked) log.info({}, "the manager process is unlocked again");
    // What it holds was sealed anew meanwhile, or by an earlier agent: only a person can help.
    this.#locked = !unlocked;
    return unlocked;
  }
}
