// The containers of this node: what the local API asks of them. What happens to them by itself is in
// container-lives.ts; what a step means is in task/life.ts.
import type { Duplex, Readable } from "node:stream";
import { isRefusal, type Refusal } from "../../common/fault.js";
import { firstTold } from "../../common/watch.js";
import type {
  Container,
  ContainerFile,
  ContainerSpec,
  ContainerStats,
  Containers,
  EndpointWish,
  ExecSpec,
  ExecState,
  Limits,
  LogOptions,
  PathStat,
  RestartRule,
} from "../seams.js";
import { onlyPids, type ProcessTable } from "../task/process-table.js";
import { parseSignal, SIGKILL, SIGTERM } from "../task/signals.js";
import * as words from "../task/words.js";
import { changeLimits, changeRestart, rename } from "./container-changes.js";
import {
  addressesTold,
  type ConnectTools,
  connect,
  disconnect,
  networksGone,
} from "./container-connections.js";
import { ContainerCreation, type CreationTools } from "./container-creation.js";
import { ContainerEntry, type WaitResult } from "./container-entry.js";
import { ContainerEvents } from "./container-events.js";
import { Execs } from "./container-execs.js";
import { ContainerFiles } from "./container-files.js";
import { ContainerLives } from "./container-lives.js";
import { runtimeOf } from "./container-start.js";
import { killRunning, markStopped, type StopTools, stopRunning } from "./container-stopping.js";
import { ContainerStreams } from "./container-streams.js";
import { ContainerTable } from "./container-table.js";
import type { EventPublisher } from "./placing.js";

export interface ContainerTools extends CreationTools {
  readonly events: EventPublisher;
  /** ps(1) of the whole machine with these arguments. */
  readonly ps: (psArguments: readonly string[]) => Promise<ProcessTable | Refusal>;
}

export class ContainerLoop implements Containers {
  readonly #table: ContainerTable;
  readonly #lives: ContainerLives;
  readonly #creation: ContainerCreation;
  readonly #files: ContainerFiles;
  readonly #events: ContainerEvents;
  readonly #execs: Execs;
  readonly #streams: ContainerStreams;
  readonly #stopTools: StopTools;
  readonly #connectTools: ConnectTools;
  readonly #closing = new AbortController();

  constructor(private readonly tools: ContainerTools) {
    this.#events = new ContainerEvents(tools.events, tools.clock);
    this.#execs = new Execs(tools.random, this.#events);
    this.#streams = new ContainerStreams(tools.runtimes);
    this.#table = new ContainerTable(tools.random);
    this.#files = new ContainerFiles(tools.runtimes, this.#table, this.#events);
    this.#lives = new ContainerLives(
      {
        ...tools,
        closing: this.#closing.signal,
        running: (containerId) => this.#table.findRunning(containerId),
      },
      this.#table,
      this.#events,
      this.#execs,
      this.#streams,
    );
    this.#creation = new ContainerCreation(tools, this.#table, this.#lives, this.#events);
    this.#stopTools = { events: this.#events, clock: tools.clock, log: tools.log };
    this.#connectTools = { ...tools, events: this.#events };
  }

  // ---- What agent.ts calls ---------------------------------------------------------------------

  /** Finds the containers of the agent before, and declares their places. To be called once, first. */
  async restore(): Promise<void> {
    const { records, damaged } = await this.tools.disk.load();
    for (const file of damaged) this.tools.log.error({ file }, "container record is damaged");
    for (const record of records) {
      this.#table.add(new ContainerEntry(record, this.tools.disk));
    }
    await Promise.all(this.#table.all().map((entry) => this.#lives.restore(entry)));
  }

  /** Lets go of the containers; those that run go on running. Starts under way are undone. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const entry of this.#table.all()) {
      entry.starting?.abort.abort();
      await entry.starting?.done;
      entry.supervised?.release();
      for (const [stream] of entry.takeEarly()) stream.giveUp();
      await entry.ending;
      await entry.saved();
    }
  }

  /** The node left the swarm: interfaces go, processes stay. */
  networksGone(): Promise<void> {
    return networksGone(this.#table.all(), this.#connectTools);
  }

  /** As `addressesTold`. */
  told(revision: number, endpointIds: ReadonlySet<string>): Promise<void> {
    return addressesTold(this.#table.all(), revision, endpointIds);
  }

  // ---- Containers ------------------------------------------------------------------------------

  list(): readonly Container[] {
    return this.#table
      .all()
      .map((entry) => entry.show())
      .sort((a, b) => b.createdAtMs - a.createdAtMs);
  }

  get(ref: string): Container | Refusal {
    const entry = this.#table.find(ref);
    return isRefusal(entry) ? entry : entry.show();
  }

  create(spec: ContainerSpec): Promise<Container | Refusal> {
    return this.#creation.create(spec);
  }

  async start(ref: string, files: readonly ContainerFile[] = []): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    await entry.ending;
    // Who comes while it starts shares the outcome.
    if (entry.starting) return entry.starting.done;
    if (entry.removal !== undefined || entry.record.phase === "removing") {
      return words.markedForRemoval(entry.record);
    }
    if (entry.record.paused) return words.cannotStartPaused();
    if (entry.record.phase === "running" || this.#closing.signal.aborted) return undefined;
    // Not in a while, but now.
    this.#lives.dropRestart(entry);
    entry.pauseMs = 0;
    return this.#lives.begin(entry, { files, again: false });
  }

  async stop(
    ref: string,
    timeoutSeconds: number | undefined,
    signalText = "",
  ): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    const { stopSignal, stopTimeoutSeconds } = entry.record.spec;
    const signal = parseSignal(signalText || stopSignal, SIGTERM);
    if (isRefusal(signal)) return signal;
    await entry.starting?.done;
    if (entry.record.phase !== "running") {
      await this.#stopRestarting(entry);
      return undefined;
    }
    const waitMs = (timeoutSeconds ?? stopTimeoutSeconds) * 1000;
    // As in Docker, a negative time is as long as it takes.
    await stopRunning(entry, signal, waitMs < 0 ? undefined : waitMs, this.#stopTools);
    this.#events.container("stop", entry.record);
    return undefined;
  }

  async kill(ref: string, signalText: string): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    const signal = parseSignal(signalText, SIGKILL);
    if (isRefusal(signal)) return signal;
    await entry.starting?.done;
    // There is no process to tell; what is meant is that there be none again.
    if (entry.record.phase !== "running" && entry.isRestarting) {
      await this.#stopRestarting(entry);
      return undefined;
    }
    if (entry.record.phase !== "running") return words.cannotKill(ref, entry.record);
    const own = parseSignal(entry.record.spec.stopSignal, SIGTERM);
    if (signal === SIGKILL || signal === own) await markStopped(entry, this.tools.log);
    await killRunning(entry, signal, this.#stopTools);
    return undefined;
  }

  /** Of one that has ended: it is not started again. */
  async #stopRestarting(entry: ContainerEntry): Promise<void> {
    await entry.ending;
    if (!this.#lives.dropRestart(entry)) return;
    await entry.mustGoOn({ kind: "stopped" }, this.tools.log);
    entry.tellStopped();
  }

  async remove(ref: string, force: boolean, volumes = false): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.removal !== undefined) return words.beingRemoved(entry.record);
    const isActive =
      entry.starting !== undefined || entry.isRestarting || entry.record.phase === "running";
    if (isActive && !force) {
      const { state } = entry.show();
      const active = state === "paused" || state === "restarting" ? state : "running";
      return words.cannotRemoveRunning(entry.record, active);
    }
    await this.#lives.remove(entry, volumes);
    return undefined;
  }

  async rename(ref: string, name: string): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    return rename(entry, name, this.#table, this.#events);
  }

  async wait(
    ref: string,
    condition: "not-running" | "next-exit" | "removed",
    signal: AbortSignal,
  ): Promise<WaitResult | Refusal> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    if (condition === "not-running" && !entry.starting && entry.record.phase !== "running") {
      await entry.ending;
      if (!entry.isRestarting) return entry.result();
    }
    return firstTold(registering(entry, condition), signal);
  }

  logs(ref: string, options: LogOptions, signal: AbortSignal): Readable | Refusal {
    const entry = this.#table.find(ref);
    return isRefusal(entry) ? entry : this.#streams.logs(entry, options, signal);
  }

  attach(
    ref: string,
    options: { readonly stdin: boolean; readonly logs: boolean },
  ): Duplex | Refusal {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.isRestarting) return words.isRestarting(entry.record);
    if (entry.record.paused) return words.cannotAttachPaused();
    const stream = this.#streams.attach(entry, options);
    if (!isRefusal(stream)) this.#events.container("attach", entry.record);
    return stream;
  }

  async resize(ref: string, rows: number, columns: number): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.supervised === undefined) return words.notRunning(entry.record);
    await entry.supervised.resize(rows, columns);
    return undefined;
  }

  async createExec(ref: string, spec: ExecSpec): Promise<string | Refusal> {
    const entry = this.#table.find(ref);
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

  async pause(ref: string): Promise<Refusal | undefined> {
    const entry = this.#table.findRunning(ref);
    if (isRefusal(entry)) return entry;
    if (entry.record.paused) return words.isPaused(entry.record);
    await entry.supervised?.pause();
    await entry.step({ kind: "paused", paused: true });
    this.#events.container("pause", entry.record);
    return undefined;
  }

  async unpause(ref: string): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.record.phase !== "running" || !entry.record.paused) {
      return words.isNotPaused(entry.record);
    }
    await entry.supervised?.unpause();
    await entry.step({ kind: "paused", paused: false });
    this.#events.container("unpause", entry.record);
    return undefined;
  }

  async restart(
    ref: string,
    timeoutSeconds: number | undefined,
    signal = "",
  ): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    // An end on the way to a start is not the end that --rm waits for.
    entry.keptForRestart = true;
    try {
      const refusal = await this.stop(entry.record.id, timeoutSeconds, signal);
      if (refusal) return refusal;
      const failed = await this.start(entry.record.id);
      if (failed === undefined) this.#events.container("restart", entry.record);
      return failed;
    } finally {
      entry.keptForRestart = false;
    }
  }

  async setRestart(ref: string, restart: RestartRule): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    return changeRestart(entry, restart, this.#events);
  }

  async setLimits(ref: string, asked: Limits): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    return changeLimits(entry, asked, this.tools.cpus, this.#events);
  }

  async writtenBytes(ref: string): Promise<number | Refusal> {
    const entry = this.#table.find(ref);
    if (isRefusal(entry)) return entry;
    const runtime = runtimeOf(entry.record.spec, this.tools.runtimes);
    return isRefusal(runtime) ? 0 : ((await runtime.writtenBytes(entry.record.id)) ?? 0);
  }

  async connect(ref: string, wish: EndpointWish): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    return isRefusal(entry) ? entry : connect(entry, wish, this.#connectTools);
  }

  async disconnect(ref: string, network: string, _force: boolean): Promise<Refusal | undefined> {
    const entry = this.#table.find(ref);
    return isRefusal(entry) ? entry : disconnect(entry, network, this.#connectTools);
  }

  async stats(ref: string): Promise<ContainerStats | Refusal> {
    const entry = this.#table.findRunning(ref);
    if (isRefusal(entry)) return entry;
    return entry.supervised?.stats() ?? words.notRunning(entry.record);
  }

  async top(ref: string, psArguments: readonly string[]): ReturnType<Containers["top"]> {
    const entry = this.#table.findRunning(ref);
    if (isRefusal(entry)) return entry;
    const pids = (await entry.supervised?.pids()) ?? [];
    const table = await this.tools.ps(psArguments);
    if (isRefusal(table)) return table;
    this.#events.container("top", entry.record);
    return onlyPids(table, pids);
  }

  statPath(ref: string, path: string): Promise<PathStat | Refusal> {
    return this.#files.stat(ref, path);
  }

  readPath(ref: string, path: string): ReturnType<Containers["readPath"]> {
    return this.#files.read(ref, path);
  }

  writePath(
    ref: string,
    path: string,
    tar: Readable,
    options: { readonly keepKinds: boolean },
  ): Promise<Refusal | undefined> {
    return this.#files.write(ref, path, tar, options);
  }
}

function registering(entry: ContainerEntry, condition: "not-running" | "next-exit" | "removed") {
  switch (condition) {
    case "not-running":
      return (done: (result: WaitResult) => void) => entry.onStopped(done);
    case "next-exit":
      return (done: (result: WaitResult) => void) => entry.onExit(done);
    case "removed":
      return (done: (result: WaitResult) => void) => entry.onRemoved(done);
  }
}
