// What happens to a container by itself: its start becomes a life, its life ends, and then it is started
// again, is removed, or rests. How one is started is in container-start.ts; what a step means is in
// task/life.ts.
import { isRefusal, messageOf, type Refusal } from "../../common/fault.js";
import type { ContainerFile } from "../seams.js";
import { isChecked } from "../task/health.js";
import type { ContainerDisk } from "../task/keeping.js";
import { isActive } from "../task/life.js";
import { nextPauseMs, restartsAfterExit, restartsAtStart } from "../task/restart.js";
import type { Exit, Supervised } from "../task/runtime.js";
import type { ContainerEntry } from "./container-entry.js";
import type { ContainerEvents } from "./container-events.js";
import type { Execs } from "./container-execs.js";
import { watchHealth } from "./container-health.js";
import { declareAgain } from "./container-networks.js";
import { adoptContainer } from "./container-restore.js";
import {
  AGAIN_MAX_MS,
  AGAIN_MIN_MS,
  clearAway,
  endNow,
  runtimeOf,
  type StartTools,
  startContainer,
} from "./container-start.js";
import { endHard, type StopTools } from "./container-stopping.js";
import type { ContainerStreams } from "./container-streams.js";
import type { ContainerTable } from "./container-table.js";

export interface LifeTools extends StartTools {
  readonly disk: ContainerDisk;
}

export interface StartHow {
  readonly files: readonly ContainerFile[];
  /** By its restart rule. */
  readonly again: boolean;
}

export class ContainerLives {
  readonly #stopTools: StopTools;

  constructor(
    private readonly tools: LifeTools,
    private readonly table: ContainerTable,
    private readonly events: ContainerEvents,
    private readonly execs: Execs,
    private readonly streams: ContainerStreams,
  ) {
    this.#stopTools = { events, clock: tools.clock, log: tools.log };
  }

  /** One start at a time: the caller has looked. */
  begin(entry: ContainerEntry, how: StartHow): Promise<Refusal | undefined> {
    const abort = new AbortController();
    const done = this.#start(entry, how, abort.signal).finally(() => {
      entry.starting = undefined;
    });
    entry.starting = { done, abort };
    return done;
  }

  async #start(
    entry: ContainerEntry,
    how: StartHow,
    abort: AbortSignal,
  ): Promise<Refusal | undefined> {
    entry.over = new AbortController();
    entry.exitError = "";
    entry.stopAsked = false;
    this.execs.forget(entry);
    const outcome = await startContainer(entry, this.tools, how, abort);
    if (outcome.kind === "running") {
      this.events.mounted(entry.record);
      this.events.connected(entry.record);
      this.events.container("start", entry.record);
      this.#watch(entry, outcome.supervised);
      return undefined;
    }
    entry.over.abort();
    for (const [stream] of entry.takeEarly()) stream.giveUp();
    // Who waits for the next exit goes on waiting: there was none.
    if (entry.record.spec.autoRemove && !entry.keptForRestart) this.removeSoon(entry);
    return outcome.refusal;
  }

  #watch(entry: ContainerEntry, supervised: Supervised): void {
    entry.supervised = supervised;
    // Who came in the moment in which it was being started.
    for (const [stream, { stdin }] of entry.takeEarly()) {
      void this.streams.attachNow(entry, supervised, stream, stdin, false);
    }
    this.#watchHealth(entry, supervised);
    void supervised.exited.then((exit) => {
      entry.ending = this.#end(entry, exit)
        .catch((error: unknown) => {
          const { id } = entry.record;
          entry.restarting = undefined;
          this.tools.log.error({ container: id, err: messageOf(error) }, "end not recorded");
        })
        .finally(() => {
          entry.ending = undefined;
          // Now it has ended in every sense: its addresses are free.
          entry.tellExit();
          if (!entry.isRestarting) entry.tellStopped();
        });
    });
  }

  #watchHealth(entry: ContainerEntry, supervised: Supervised): void {
    const { healthCheck } = entry.record.spec;
    entry.health = undefined;
    if (!isChecked(healthCheck)) return;
    const onChange = () => {
      this.events.container(`health_status: ${entry.health?.status}`, entry.record);
    };
    const over = AbortSignal.any([entry.over.signal, this.tools.closing]);
    const tools = { ...this.tools, onChange };
    void watchHealth(entry, supervised, healthCheck, tools, over).catch((error: unknown) => {
      const { id } = entry.record;
      this.tools.log.error({ container: id, err: messageOf(error) }, "health checks ended");
    });
  }

  async #end(entry: ContainerEntry, exit: Exit): Promise<void> {
    entry.supervised = undefined;
    entry.exitError = exit.error;
    entry.over.abort();
    const connected = entry.record;
    await entry.mustGoOn({ kind: "ended", ...exit }, this.tools.log);
    const isAgain = !entry.record.spec.autoRemove && this.#isToRestart(entry);
    // From here on, so that nobody finds it merely ended while its places are being cleared.
    const again = isAgain ? new AbortController() : undefined;
    entry.restarting = again;
    if (exit.oomKilled === true) this.events.container("oom", entry.record);
    this.events.container("die", entry.record, {
      exitCode: String(exit.exitCode),
      execDuration: String(Math.max(0, Math.floor((exit.atMs - connected.startedAtMs) / 1000))),
    });
    await clearAway(entry, this.tools);
    this.events.disconnected(connected);
    this.events.unmounted(connected);
    const { spec } = entry.record;
    if (spec.autoRemove && !entry.keptForRestart) this.removeSoon(entry);
    else if (again !== undefined && entry.restarting === again) {
      entry.restarting = undefined;
      if (this.#isToRestart(entry)) this.#restartLater(entry, exit.atMs - connected.startedAtMs);
    }
  }

  #isToRestart({ record, removal, stopAsked }: ContainerEntry): boolean {
    const { spec } = record;
    // A task's next life is the swarm's to begin.
    if (spec.taskId !== "" || removal !== undefined || this.tools.closing.aborted) return false;
    return restartsAfterExit(spec.restart, { ...record, stopped: record.stopped || stopAsked });
  }

  /** After a pause that grows while its lives are short. */
  #restartLater(entry: ContainerEntry, ranMs: number): void {
    entry.pauseMs = nextPauseMs(entry.pauseMs, ranMs);
    const wait = new AbortController();
    entry.restarting = wait;
    const signal = AbortSignal.any([wait.signal, this.tools.closing]);
    void this.tools.clock.sleep(entry.pauseMs, signal).then(
      () => this.#restartNow(entry, wait),
      () => undefined,
    );
  }

  async #restartNow(entry: ContainerEntry, wait: AbortController): Promise<void> {
    const { id } = entry.record;
    try {
      await entry.ending;
      if (wait.signal.aborted || this.tools.closing.aborted || entry.restarting !== wait) return;
      const begun = this.begin(entry, { files: [], again: true });
      const refusal = await begun;
      if (entry.restarting === wait) entry.restarting = undefined;
      if (refusal === undefined) return;
      this.tools.log.warn({ container: id, err: refusal.message }, "restart failed");
      if (this.#isToRestart(entry)) this.#restartLater(entry, 0);
      else entry.tellStopped();
    } catch (error) {
      entry.restarting = undefined;
      entry.tellStopped();
      this.tools.log.error({ container: id, err: messageOf(error) }, "restart given up");
    }
  }

  /** Whether there was one to drop. */
  dropRestart(entry: ContainerEntry): boolean {
    const { restarting } = entry;
    entry.restarting = undefined;
    restarting?.abort();
    return restarting !== undefined;
  }

  /** Resolves when nothing of it is left. A removal that fails can be asked for again. */
  async remove(entry: ContainerEntry, volumes: boolean): Promise<void> {
    entry.removal = this.#remove(entry, volumes).catch((error: unknown) => {
      entry.removal = undefined;
      throw error;
    });
    await entry.removal;
  }

  /** Not waited for: who removes waits for the end, and this is part of the end. Tried until it is done. */
  removeSoon(entry: ContainerEntry): void {
    void this.#removeOnce(entry);
  }

  async #removeOnce(entry: ContainerEntry): Promise<void> {
    const { closing, clock, log } = this.tools;
    for (let pauseMs = AGAIN_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, AGAIN_MAX_MS)) {
      // Somebody else is at it, and is told what comes of it.
      if (closing.aborted || entry.removal !== undefined) return;
      try {
        return await this.remove(entry, true);
      } catch (error) {
        log.error({ container: entry.record.id, err: messageOf(error) }, "not removed");
      }
      await clock.sleep(pauseMs, closing).catch(() => undefined);
    }
  }

  async #remove(entry: ContainerEntry, volumes: boolean): Promise<void> {
    this.dropRestart(entry);
    entry.starting?.abort.abort();
    await entry.starting?.done;
    await entry.adopting;
    // An earlier agent's, and its runtime has not answered yet.
    if (entry.supervised === undefined && isActive(entry.record)) await endNow(entry, this.tools);
    if (entry.record.phase === "running") await endHard(entry, this.#stopTools);
    await entry.ending;
    await entry.sandboxGone;
    await entry.forgetting;
    // On a full disk too: removing is what frees it.
    if (entry.record.phase !== "removing") {
      await entry.mustGoOn({ kind: "remove" }, this.tools.log);
    }
    const { id, spec, mountPoints } = entry.record;
    for (const [stream] of entry.takeEarly()) stream.giveUp();
    const runtime = runtimeOf(spec, this.tools.runtimes);
    if (!isRefusal(runtime)) await runtime.erase(id);
    await this.tools.disk.remove(id);
    this.execs.forget(entry);
    this.table.delete(id);
    if (volumes) await this.tools.volumes.drop(mountPoints);
    this.events.container("destroy", entry.record);
    entry.tellRemoved();
  }

  async restore(entry: ContainerEntry): Promise<void> {
    try {
      await this.#adopt(entry);
    } catch (error) {
      const { id } = entry.record;
      this.tools.log.error({ container: id, err: messageOf(error) }, "container not restored");
      // What may be running keeps its networks while its runtime cannot be asked.
      if (entry.record.phase === "running") {
        await declareAgain(entry, this.tools).catch(() => undefined);
      }
      void this.#adoptLater(entry);
    }
  }

  /** Its runtime did not answer: it is asked again until it does. */
  async #adoptLater(entry: ContainerEntry): Promise<void> {
    let pauseMs = AGAIN_MIN_MS;
    while (
      !this.tools.closing.aborted &&
      isActive(entry.record) &&
      entry.supervised === undefined
    ) {
      await this.tools.clock.sleep(pauseMs, this.tools.closing).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, AGAIN_MAX_MS);
      if (this.tools.closing.aborted || entry.removal !== undefined) return;
      entry.adopting = this.#adopt(entry).catch((error: unknown) => {
        const { id } = entry.record;
        this.tools.log.debug({ container: id, err: messageOf(error) }, "still not restored");
      });
      await entry.adopting;
    }
  }

  async #adopt(entry: ContainerEntry): Promise<void> {
    const supervised = await adoptContainer(entry, this.tools);
    if (supervised !== undefined) {
      entry.over = new AbortController();
      this.#watch(entry, supervised);
      return;
    }
    const { record } = entry;
    if (record.phase === "removing") return this.removeSoon(entry);
    // A container that is to vanish at its end and was never started waits for its start.
    if (record.life === 0) return;
    if (record.spec.autoRemove) this.removeSoon(entry);
    else if (record.spec.taskId === "" && restartsAtStart(record.spec.restart, record)) {
      this.#restartLater(entry, 0);
    }
  }
}
