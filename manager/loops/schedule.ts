// Gives waiting tasks to nodes, on the leader, many to an entry of the log.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { Signal } from "../../common/watch.js";
import { Scheduler } from "../scheduler/scheduler.js";
import type { Store } from "../store/store.js";
import { waitFor } from "./timed-signal.js";
import { requestContext, type Writer } from "./write.js";

// Choice: of a usual size, this many tasks with their addresses make an entry of about 250 KB.
const TASKS_MAX = 200;
// Choice: tasks that found no node are looked at again at most this often, and so that looking takes a
// tenth of the time at most, however many they are.
const RETRY_MIN_MS = 100;
const RETRY_SHARE = 10;
const REFUSED_MS = 1_000;

export interface ScheduleOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Until the term ends. */
export async function schedule(options: ScheduleOptions, term: AbortSignal): Promise<void> {
  const { clock, log } = options;
  while (!term.aborted) {
    try {
      await follow(options, term);
    } catch (error) {
      const lost = error instanceof Fault && ["NOT_LEADER", "LEADERSHIP_LOST"].includes(error.code);
      if (term.aborted || lost) return;
      log.error({ err: messageOf(error) }, "scheduling begins anew");
      await clock.sleep(REFUSED_MS, term).catch(() => undefined);
    }
  }
}

async function follow(options: ScheduleOptions, term: AbortSignal): Promise<void> {
  const { store, clock } = options;
  const wake = new Signal();
  let scheduler = new Scheduler(store.view);
  const unsubscribe = store.changes.subscribe((change) => {
    if (change.restored) scheduler = new Scheduler(store.view);
    else scheduler.note(change.changed);
    if (scheduler.hasReady || scheduler.mayRetry) wake.notify();
  });
  try {
    if (scheduler.hasReady) wake.notify();
    for (let retryAtMs = 0; ; ) {
      const pauseMs = scheduler.mayRetry ? retryAtMs - clock.monotonicMs() : undefined;
      await waitFor(wake, pauseMs, clock, term);
      await runAll(options, scheduler, term);
      const beganMs = clock.monotonicMs();
      if (!scheduler.mayRetry || beganMs < retryAtMs) continue;
      scheduler.retry();
      await runAll(options, scheduler, term);
      const tookMs = clock.monotonicMs() - beganMs;
      retryAtMs = beganMs + Math.max(RETRY_MIN_MS, tookMs * RETRY_SHARE);
    }
  } finally {
    unsubscribe();
  }
}

async function runAll(
  options: ScheduleOptions,
  scheduler: Scheduler,
  term: AbortSignal,
): Promise<void> {
  const { store, writer, clock, random, log } = options;
  // Fewer at a time after a refusal, so that what is refused stops no other.
  let most = TASKS_MAX;
  while (scheduler.hasReady && !term.aborted) {
    const result = await writer.write(
      (draft, nowMs) => {
        scheduler.run(draft, requestContext(nowMs, random), most);
        return true;
      },
      () => true,
    );
    scheduler.settle(store.view);
    if (!isRefusal(result)) continue;
    log.warn({ err: result.message, tasks: most }, "tasks not placed");
    scheduler.retry();
    most = Math.max(1, most >> 3);
    await clock.sleep(REFUSED_MS, term);
  }
}
