// The containers of this node: what the local API asks of them, and what happens to them by itself.
// How one is started is in container-start.ts; what a step means is in task/life.ts.
import { Duplex, type Readable } from "node:stream";
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf, type Refusal } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import type {
  Container,
  ContainerSpec,
  Containers,
  ExecSpec,
  ExecState,
  LogOptions,
} from "../seams.js";
import type { ContainerDisk } from "../task/keeping.js";
import { newRecord, toContainer } from "../task/life.js";
import { newName } from "../task/names.js";
import { findByReference } from "../task/reference.js";
import type { Exit, Supervised } from "../task/runtime.js";
import { parseSignal, SIGKILL, SIGTERM } from "../task/signals.js";
import { checkSpec, isContainerName } from "../task/spec.js";
import * as words from "../task/words.js";
import { ContainerEntry, type WaitResult } from "./container-entry.js";
import { ContainerEvents } from "./container-events.js";
import { Execs } from "./container-execs.js";
import { adoptContainer } from "./container-restore.js";
import { clearAway, type StartTools, startContainer } from "./container-start.js";
import { ATTACHED_MAX, CONTAINERS_MAX, LOG_READERS_MAX, tooMany } from "./containers-limits.js";
import { LateStream } from "./late-stream.js";
import type { EventPublisher } from "./placing.js";

export interface ContainerTools extends StartTools {
  readonly disk: ContainerDisk;
  readonly events: EventPublisher;
}

// Choice: after SIGKILL the kernel needs no longer, unless a disk holds the process.
const KILLED_MS = 10_000;

export class ContainerLoop implements Containers {
  readonly #entries = new Map<string, ContainerEntry>();
  /** Names of containers that are being created, and their ids. */
  readonly #reserved = new Map<string, string>();
  readonly #events: ContainerEvents;
  readonly #execs: Execs;
  readonly #clock: Clock;
  #closed = false;

  constructor(private readonly tools: ContainerTools) {
    this.#events = new ContainerEvents(tools.events, tools.clock);
    this.#execs = new Execs(tools.random);
    this.#clock = tools.clock;
  }

  // ---- What agent.ts calls ---------------------------------------------------------------------

  /** Finds the containers of the agent before, and declares their places. To be called once, first. */
  async restore(): Promise<void> {
    const { records, damaged } = await this.tools.disk.load();
    for (const file of damaged) this.tools.log.error({ file }, "container record is damaged");
    for (const record of records) {
      this.#entries.set(record.id, new ContainerEntry(record, this.tools.disk));
    }
    await Promise.all([...this.#entries.values()].map((entry) => this.#restoreOne(entry)));
  }

  /** Lets go of the containers; those that run go on running. Starts under way are undone. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const entry of this.#entries.values()) {
      entry.starting?.abort.abort();
      await entry.starting?.done;
      entry.supervised?.release();
      for (const [stream] of entry.takeEarly()) stream.giveUp();
      await entry.ending;
      await entry.saved();
    }
  }

  /** The node left the swarm: interfaces go, processes stay. */
  async networksGone(): Promise<void> {
    for (const entry of this.#entries.values()) {
      const { phase, endpoints } = entry.record;
      if (phase !== "running" || endpoints.length === 0) continue;
      await Promise.all(endpoints.map(({ id }) => this.tools.placing.disown(id)));
      this.#events.disconnected(entry.record);
      await entry.step({ kind: "released" });
      await entry.step({
        kind: "trouble",
        error: "its networks are gone: this node left the swarm",
      });
    }
  }

  /**
   * The endpoints of this node that the swarm knows at `revision`. One of ours that is missing, and is
   * not newer than that, was taken away (the node or the network was removed by force).
   */
  async told(revision: number, endpointIds: ReadonlySet<string>): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (entry.record.phase !== "running" || entry.record.error !== "") continue;
      const lost = entry.record.endpoints.find(({ id, given }) => {
        const madeAt = given?.endpoint.meta?.createdVersion ?? Number.POSITIVE_INFINITY;
        return madeAt <= revision && !endpointIds.has(id);
      });
      if (lost === undefined) continue;
      const error = `the swarm no longer knows its address on network ${lost.wish.network}; restart it to get another`;
      await entry.step({ kind: "trouble", error });
    }
  }

  // ---- Containers ------------------------------------------------------------------------------

  list(): readonly Container[] {
    return [...this.#entries.values()]
      .map((entry) => this.#show(entry))
      .sort((a, b) => b.createdAtMs - a.createdAtMs);
  }

  get(ref: string): Container | Refusal {
    const entry = this.#find(ref);
    return isRefusal(entry) ? entry : this.#show(entry);
  }

  async create(spec: ContainerSpec): Promise<Container | Refusal> {
    const wrong = checkSpec(spec);
    if (wrong) return wrong;
    if (this.#entries.size >= CONTAINERS_MAX) return tooMany("containers", CONTAINERS_MAX);
    const name = spec.name || newName(this.tools.random, (wanted) => this.#isTaken(wanted));
    const owner = this.#ownerOf(name);
    if (owner !== undefined) return words.nameTaken(name, owner);
    const record = newRecord(this.#newId(), { ...spec, name }, this.#clock.nowMs());
    const entry = new ContainerEntry(record, this.tools.disk);
    this.#reserved.set(name, record.id);
    try {
      await this.tools.disk.save(record);
      this.#entries.set(record.id, entry);
    } finally {
      this.#reserved.delete(name);
    }
    this.#events.container("create", record);
    return this.#show(entry);
  }

  async start(ref: string): Promise<Refusal | undefined> {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    await entry.ending;
    // Who comes while it starts shares the outcome.
    if (entry.starting) return entry.starting.done;
    if (entry.removal !== undefined || entry.record.phase === "removing") {
      return words.markedForRemoval(entry.record);
    }
    if (entry.record.phase === "running" || this.#closed) return undefined;
    const abort = new AbortController();
    const done = this.#start(entry, abort.signal).finally(() => {
      entry.starting = undefined;
    });
    entry.starting = { done, abort };
    return done;
  }

  async stop(ref: string, timeoutSeconds: number | undefined): Promise<Refusal | undefined> {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    await entry.starting?.done;
    if (entry.record.phase !== "running") {
      await entry.ending;
      return undefined;
    }
    const { stopSignal, stopTimeoutSeconds } = entry.record.spec;
    const signal = parseSignal(stopSignal, SIGTERM);
    if (isRefusal(signal)) return signal;
    const waitMs = (timeoutSeconds ?? stopTimeoutSeconds) * 1000;
    const ended = this.#ended(entry);
    await this.#signal(entry, signal);
    // As in Docker, a negative time is as long as it takes.
    if (!(await this.#within(ended, waitMs < 0 ? undefined : waitMs))) {
      await this.#signal(entry, SIGKILL);
      if (!(await this.#within(ended, KILLED_MS))) await entry.supervised?.destroy();
      await ended;
    }
    this.#events.container("stop", entry.record);
    return undefined;
  }

  async kill(ref: string, signalText: string): Promise<Refusal | undefined> {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    const signal = parseSignal(signalText, SIGKILL);
    if (isRefusal(signal)) return signal;
    await entry.starting?.done;
    if (entry.record.phase !== "running") return words.cannotKill(ref, entry.record);
    const ended = this.#ended(entry);
    await this.#signal(entry, signal);
    if (signal === SIGKILL) await this.#within(ended, KILLED_MS);
    return undefined;
  }

  async remove(ref: string, force: boolean): Promise<Refusal | undefined> {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.removal !== undefined) return words.beingRemoved(entry.record);
    const isActive = entry.starting !== undefined || entry.record.phase === "running";
    if (isActive && !force) return words.cannotRemoveRunning(entry.record);
    entry.removal = this.#remove(entry).catch((error: unknown) => {
      // It can be asked for again.
      entry.removal = undefined;
      throw error;
    });
    await entry.removal;
    return undefined;
  }

  async rename(ref: string, name: string): Promise<Refusal | undefined> {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    const wanted = name.startsWith("/") ? name.slice(1) : name;
    if (!isContainerName(wanted)) return words.badName(wanted);
    if (wanted === entry.record.spec.name) return words.sameName();
    const owner = this.#ownerOf(wanted);
    if (owner !== undefined) return words.nameTaken(wanted, owner);
    if (entry.record.phase === "removing") return words.beingRemoved(entry.record);
    const oldName = entry.record.spec.name;
    await entry.step({ kind: "rename", name: wanted });
    this.#events.container("rename", entry.record, { oldName: `/${oldName}` });
    return undefined;
  }

  async wait(
    ref: string,
    condition: "not-running" | "next-exit" | "removed",
    signal: AbortSignal,
  ): Promise<WaitResult | Refusal> {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    if (condition === "not-running" && !entry.starting && entry.record.phase !== "running") {
      await entry.ending;
      return entry.result();
    }
    return new Promise((resolve, reject) => {
      const done = (result: WaitResult) => {
        signal.removeEventListener("abort", onAbort);
        resolve(result);
      };
      const forget = condition === "removed" ? entry.onRemoved(done) : entry.onExit(done);
      const onAbort = () => {
        forget();
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  logs(ref: string, options: LogOptions, signal: AbortSignal): Readable | Refusal {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.logReaderCount >= LOG_READERS_MAX) {
      return tooMany("readers of this log", LOG_READERS_MAX);
    }
    entry.logReaderCount++;
    const { id, spec } = entry.record;
    const all = { ...options, tty: spec.tty, ended: entry.over.signal };
    const stream = this.tools.runtime.readLogs(id, all, signal);
    stream.once("close", () => {
      entry.logReaderCount--;
    });
    return stream;
  }

  attach(
    ref: string,
    options: { readonly stdin: boolean; readonly logs: boolean },
  ): Duplex | Refusal {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.attachedCount >= ATTACHED_MAX) {
      return tooMany("connections attached to this container", ATTACHED_MAX);
    }
    const stream = new LateStream();
    entry.attachedCount++;
    stream.once("close", () => {
      entry.attachedCount--;
      entry.early.delete(stream);
    });
    const stdin = options.stdin && entry.record.spec.openStdin;
    if (entry.supervised === undefined) entry.early.set(stream, { stdin });
    else void this.#attachNow(entry, entry.supervised, stream, stdin, options.logs);
    return stream;
  }

  async resize(ref: string, rows: number, columns: number): Promise<Refusal | undefined> {
    const entry = this.#find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.supervised === undefined) return words.notRunning(entry.record);
    await entry.supervised.resize(rows, columns);
    return undefined;
  }

  async createExec(ref: string, spec: ExecSpec): Promise<string | Refusal> {
    const entry = this.#find(ref);
    return isRefusal(entry) ? entry : this.#execs.create(entry, spec);
  }

  startExec(execId: string): Promise<Duplex | Refusal> {
    return this.#execs.start(execId);
  }

  async resizeExec(execId: string, rows: number, columns: number): Promise<Refusal | undefined> {
    return this.#execs.resize(execId, rows, columns);
  }

  getExec(execId: string): ExecState | Refusal {
    return this.#execs.get(execId);
  }

  // ---- What happens ----------------------------------------------------------------------------

  async #start(entry: ContainerEntry, abort: AbortSignal): Promise<Refusal | undefined> {
    entry.over = new AbortController();
    entry.exitError = "";
    this.#execs.forget(entry);
    const outcome = await startContainer(entry, this.tools, abort);
    if (outcome.kind === "running") {
      this.#events.connected(entry.record);
      this.#events.container("start", entry.record);
      this.#watch(entry, outcome.supervised);
      return undefined;
    }
    entry.over.abort();
    for (const [stream] of entry.takeEarly()) stream.giveUp();
    // Who waits for the next exit goes on waiting: there was none.
    if (entry.record.spec.autoRemove) this.#removeSoon(entry);
    return outcome.refusal;
  }

  #watch(entry: ContainerEntry, supervised: Supervised): void {
    entry.supervised = supervised;
    // Who came in the moment in which it was being started.
    for (const [stream, { stdin }] of entry.takeEarly()) {
      void this.#attachNow(entry, supervised, stream, stdin, false);
    }
    void supervised.exited.then((exit) => {
      entry.ending = this.#end(entry, exit)
        .catch((error: unknown) => {
          const { id } = entry.record;
          this.tools.log.error({ container: id, err: messageOf(error) }, "end not recorded");
        })
        .finally(() => {
          entry.ending = undefined;
          // Now it has ended in every sense: its addresses are free.
          entry.tellExit();
        });
    });
  }

  async #end(entry: ContainerEntry, exit: Exit): Promise<void> {
    entry.supervised = undefined;
    entry.exitError = exit.error;
    entry.over.abort();
    const connected = entry.record;
    await entry.mustGoOn({ kind: "ended", ...exit }, this.tools.log);
    this.#events.container("die", entry.record, { exitCode: String(exit.exitCode) });
    await clearAway(entry, this.tools);
    this.#events.disconnected(connected);
    if (entry.record.spec.autoRemove) this.#removeSoon(entry);
  }

  /** Not waited for: who removes waits for the end, and this is part of the end. */
  #removeSoon(entry: ContainerEntry): void {
    if (entry.removal !== undefined) return;
    entry.removal = this.#remove(entry).catch((error: unknown) => {
      entry.removal = undefined;
      this.tools.log.error({ container: entry.record.id, err: messageOf(error) }, "not removed");
    });
  }

  async #remove(entry: ContainerEntry): Promise<void> {
    entry.starting?.abort.abort();
    await entry.starting?.done;
    if (entry.record.phase === "running") {
      const ended = this.#ended(entry);
      await this.#signal(entry, SIGKILL);
      if (!(await this.#within(ended, KILLED_MS))) await entry.supervised?.destroy();
      await ended;
    }
    await entry.ending;
    // On a full disk too: removing is what frees it.
    if (entry.record.phase !== "removing") {
      await entry.mustGoOn({ kind: "remove" }, this.tools.log);
    }
    const { id } = entry.record;
    for (const [stream] of entry.takeEarly()) stream.giveUp();
    await this.tools.runtime.forget(id);
    await this.tools.disk.remove(id);
    this.#execs.forget(entry);
    this.#entries.delete(id);
    this.#events.container("destroy", entry.record);
    entry.tellRemoved();
  }

  async #restoreOne(entry: ContainerEntry): Promise<void> {
    try {
      const supervised = await adoptContainer(entry, this.tools);
      if (supervised !== undefined) {
        entry.over = new AbortController();
        this.#watch(entry, supervised);
      } else if (entry.record.phase === "removing" || entry.record.spec.autoRemove) {
        // A container that is to vanish at its end and was never started waits for its start.
        const isNew = entry.record.phase === "created" && entry.record.life === 0;
        if (!isNew) this.#removeSoon(entry);
      }
    } catch (error) {
      const { id } = entry.record;
      this.tools.log.error({ container: id, err: messageOf(error) }, "container not restored");
    }
  }

  async #attachNow(
    entry: ContainerEntry,
    supervised: Supervised,
    stream: LateStream,
    stdin: boolean,
    logs: boolean,
  ): Promise<void> {
    try {
      const live = await supervised.attach({ stdin });
      stream.become(logs ? this.#withPast(entry, live) : live);
    } catch {
      // It ended in this moment.
      stream.giveUp();
    }
  }

  /** Input as it is; output from the log, from its beginning and on, so that nothing is missed or said twice. */
  #withPast(entry: ContainerEntry, live: Duplex): Duplex {
    const { id, spec } = entry.record;
    const gone = new AbortController();
    const everything = { stdout: true, stderr: true, timestamps: false, sinceMs: 0, untilMs: 0 };
    const options = { ...everything, follow: true, tail: undefined, tty: spec.tty };
    const ended = entry.over.signal;
    const past = this.tools.runtime.readLogs(id, { ...options, ended }, gone.signal);
    live.resume();
    live.once("close", () => gone.abort());
    past.once("end", () => live.destroy());
    return Duplex.from({ readable: past, writable: live });
  }

  async #signal(entry: ContainerEntry, signal: number): Promise<void> {
    try {
      await entry.supervised?.signal(signal);
      this.#events.container("kill", entry.record, { signal: String(signal) });
    } catch (error) {
      // It has ended, or its supervisor has: `exited` says so in a moment.
      this.tools.log.debug({ container: entry.record.id, err: messageOf(error) }, "not signalled");
    }
  }

  #ended(entry: ContainerEntry): Promise<void> {
    return new Promise((resolve) => void entry.onExit(() => resolve()));
  }

  /** Whether it came to pass in time. */
  async #within(event: Promise<void>, ms: number | undefined): Promise<boolean> {
    if (ms === undefined) return event.then(() => true);
    const timer = new AbortController();
    const late = this.#clock.sleep(ms, timer.signal).then(
      () => false,
      () => true,
    );
    const inTime = await Promise.race([event.then(() => true), late]);
    timer.abort();
    return inTime;
  }

  #show(entry: ContainerEntry): Container {
    return toContainer(entry.record, entry.sandboxPath);
  }

  #find(ref: string): ContainerEntry | Refusal {
    const found = findByReference(
      this.#entries.values(),
      ref,
      (entry) => entry.record.id,
      (entry) => entry.record.spec.name,
    );
    if (found.kind === "one") return found.item;
    return found.kind === "none" ? words.noSuchContainer(ref) : words.ambiguousPrefix(ref);
  }

  #ownerOf(name: string): string | undefined {
    for (const { record } of this.#entries.values()) {
      if (record.spec.name === name) return record.id;
    }
    return this.#reserved.get(name);
  }

  #isTaken(name: string): boolean {
    return this.#ownerOf(name) !== undefined;
  }

  /** Sandbox and socket are named by the first 12 digits, so those are unique too. */
  #newId(): string {
    for (;;) {
      const id = newLocalId(this.tools.random);
      const isUsed = [...this.#entries.keys()].some(
        (other) => words.shortId(other) === words.shortId(id),
      );
      if (!isUsed) return id;
    }
  }
}
