// Keeps this manager's disk sealed with the unlock key that the store says, or with none (docs/autolock.md).
// Every manager does so for itself, when it applies the change.
import type { Clock } from "../../common/clock.js";
import { faultFields } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { sameKey } from "../../common/unlock-key.js";
import { Signal } from "../../common/watch.js";
import type { ManagerKeys } from "../seams.js";
import type { Store } from "../store/store.js";
import type { StoreView } from "../store/view.js";

export interface SealingOptions {
  readonly store: Store;
  readonly keys: ManagerKeys;
  /** What was written before can go. */
  readonly onSealed: () => void;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "retryMaxMs">;
  readonly log: Logger;
}

/** Until the signal is aborted; a change that is under way is finished then. */
export async function followSealing(options: SealingOptions, signal: AbortSignal): Promise<void> {
  const { store, keys, clock, timing, log } = options;
  const noted = new Signal();
  noted.notify();
  const unsubscribe = store.changes.subscribe(() => noted.notify());
  try {
    while (!signal.aborted) {
      await noted.wait(signal);
      const change = changeOf(store.view, keys);
      if (change === undefined) continue;
      try {
        await keys.seal(change.unlockKey, change.version);
        log.info({ sealed: change.unlockKey.length > 0 }, "the unlock key has changed");
        options.onSealed();
      } catch (error) {
        // The disk still opens with the key before. A person who looks finds it in the log; it may only be full.
        log.warn(faultFields(error), "the disk is not sealed with the new unlock key yet");
        await clock.sleep(timing.retryMaxMs, signal);
      }
      noted.notify();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    unsubscribe();
  }
}

/**
 * What the disk is to be sealed with, if with something else. A store that is read again from its log passes through
 * what once was: only what is newer than the seal counts.
 */
function changeOf(
  view: StoreView,
  keys: ManagerKeys,
): { readonly unlockKey: Uint8Array; readonly version: number } | undefined {
  const cluster = view.cluster();
  const version = cluster?.meta?.version ?? 0;
  if (cluster === undefined || version <= keys.version) return undefined;
  return sameKey(cluster.unlockKey, keys.unlockKey)
    ? undefined
    : { unlockKey: cluster.unlockKey, version };
}
