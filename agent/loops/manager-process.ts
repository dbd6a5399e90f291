// Keeps the manager process running while this node is to have one: takes over what an earlier agent
// started, and starts it again when it ends unasked, at growing intervals.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type {
  ManagerAdmin,
  ManagerHost,
  ManagerRunner,
  NodeIdentity,
  RunningManager,
} from "../seams.js";

// Choice: a process that lived this long had started well, and its end is a new matter.
const STABLE_MS = 30_000;
// Choice: somebody waits for the start, and asking costs a fraction of a millisecond.
const ASK_AGAIN_MS = 10;

export class ManagerProcess implements ManagerHost {
  #keeping: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #running: RunningManager | undefined;
  #lastEnd = "";

  constructor(
    private readonly runner: ManagerRunner,
    private readonly admin: ManagerAdmin,
    private readonly clock: Clock,
    private readonly timing: Timing,
    private readonly log: Logger,
  ) {}

  get started(): boolean {
    return this.#keeping !== undefined;
  }

  async start(): Promise<void> {
    if (this.#keeping === undefined) {
      const stop = new AbortController();
      this.#lastEnd = "";
      this.#keeping = { stop, done: this.#keep(stop.signal) };
    }
    await this.#answering(this.#keeping.stop.signal);
  }

  async stop(): Promise<void> {
    await this.#stopKeeping((running) => running.stop());
    // An agent that was killed may have left one that nobody here keeps.
    const left = await this.runner.find();
    await left?.stop();
  }

  /** Stops looking after it, and leaves it running. */
  release(): Promise<void> {
    return this.#stopKeeping(async (running) => running.release());
  }

  async wipe(): Promise<void> {
    await this.stop();
    await this.runner.erase();
  }

  hasState(): boolean {
    return this.runner.hasState();
  }

  control() {
    return this.admin.control();
  }
  init(...args: Parameters<ManagerAdmin["init"]>) {
    return this.admin.init(...args);
  }
  join(...args: Parameters<ManagerAdmin["join"]>) {
    return this.admin.join(...args);
  }
  setIdentity(identity: NodeIdentity) {
    return this.admin.setIdentity(identity);
  }
  renewExpired(identity: NodeIdentity) {
    return this.admin.renewExpired(identity);
  }
  status() {
    return this.admin.status();
  }
  reports() {
    return this.admin.reports();
  }
  unheardManagers() {
    return this.admin.unheardManagers();
  }
  setAddr(...args: Parameters<ManagerAdmin["setAddr"]>) {
    return this.admin.setAddr(...args);
  }
  confirmSeat(managers: readonly string[]) {
    return this.admin.confirmSeat(managers);
  }
  recover(...args: Parameters<ManagerAdmin["recover"]>) {
    return this.admin.recover(...args);
  }
  backup() {
    return this.admin.backup();
  }
  restore(...args: Parameters<ManagerAdmin["restore"]>) {
    return this.admin.restore(...args);
  }
  leave(force: boolean) {
    return this.admin.leave(force);
  }
  unlock(unlockKey: Uint8Array) {
    return this.admin.unlock(unlockKey);
  }
  keys(...args: Parameters<ManagerAdmin["keys"]>) {
    return this.admin.keys(...args);
  }

  async #stopKeeping(end: (running: RunningManager) => Promise<void>): Promise<void> {
    const keeping = this.#keeping;
    if (keeping === undefined) return;
    keeping.stop.abort(new Fault("STOPPED"));
    if (this.#running) await end(this.#running);
    await keeping.done;
    // A start that was under way when the stop came has its process here only now.
    if (this.#running) await end(this.#running);
    this.#running = undefined;
    this.#keeping = undefined;
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { timing, clock } = this;
    let pauseMs = timing.retryMinMs;
    const stopped = aborted(signal);
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs();
      try {
        this.#running = await this.runner.start();
        if (signal.aborted) return;
        this.#lastEnd = await Promise.race([this.#running.exited, stopped]);
        if (signal.aborted) return;
        this.#running.release();
      } catch (error) {
        this.#lastEnd = sentenceOf(error);
      }
      this.#running = undefined;
      if (clock.monotonicMs() - beganMs > STABLE_MS) pauseMs = timing.retryMinMs;
      this.log.warn({ why: this.#lastEnd, pauseMs }, "manager process ended");
      await clock.sleep(pauseMs, signal).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, timing.retryMaxMs);
    }
  }

  async #answering(signal: AbortSignal): Promise<void> {
    const endMs = this.clock.monotonicMs() + this.timing.requestMs;
    for (;;) {
      const answer = await this.admin.status().catch((error: unknown) => sentenceOf(error));
      if (typeof answer !== "string" && !isRefusal(answer)) return;
      // Ended twice is not a slow start: say why at once.
      if (this.#lastEnd !== "" || this.clock.monotonicMs() > endMs) {
        const why = this.#lastEnd || (typeof answer === "string" ? answer : answer.message);
        throw new Fault("MANAGER_START", { why });
      }
      await this.clock.sleep(ASK_AGAIN_MS, signal);
    }
  }
}

function aborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve("stopped");
    signal.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
}

export interface ProcessSeat {
  /** AdminStatus.state; "absent" when it is not started, "unknown" when it does not answer. */
  readonly state: string;
  /** Of the seat that it has taken; 0: none. */
  readonly raftId: number;
}

export async function processSeat(manager: ManagerHost): Promise<ProcessSeat> {
  if (!manager.started) return { state: "absent", raftId: 0 };
  const status = await manager.status().catch(() => undefined);
  if (status === undefined || isRefusal(status)) return { state: "unknown", raftId: 0 };
  return { state: status.state, raftId: status.raftId };
}

/** For those who want the state only. */
export async function processState(manager: ManagerHost): Promise<string> {
  return (await processSeat(manager)).state;
}
