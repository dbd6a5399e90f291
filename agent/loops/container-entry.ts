// One container in the agent's memory: its record, its supervisor while it runs, and who waits for what.
import { messageOf, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Container, ExecSpec, Health } from "../seams.js";
import type { ContainerDisk } from "../task/keeping.js";
import { advance, type ContainerRecord, type Step, toContainer } from "../task/life.js";
import type { RunningExec, Supervised } from "../task/runtime.js";
import type { LateStream } from "./late-stream.js";

export interface ExecEntry {
  readonly id: string;
  readonly spec: ExecSpec;
  state: "created" | "starting" | "running" | "ended";
  exitCode: number;
  running: RunningExec | undefined;
}

export interface WaitResult {
  readonly exitCode: number;
  readonly error: string;
}
type Waiter = (result: WaitResult) => void;

export class ContainerEntry {
  supervised: Supervised | undefined;
  /** An earlier agent's life is being looked for; resolves however that ends. */
  adopting: Promise<void> | undefined;
  /** The start that is under way. */
  starting:
    | { readonly done: Promise<Refusal | undefined>; readonly abort: AbortController }
    | undefined;
  /** What follows the end of the command until its addresses are given back. */
  ending: Promise<void> | undefined;
  removal: Promise<void> | undefined;
  /** Its restart rule starts it again when this pause is over, unless it is aborted. */
  restarting: AbortController | undefined;
  /** The pause before the last start by the rule. */
  pauseMs = 0;
  /** A person has asked for its end: the end that comes is not one to restart after. */
  stopAsked = false;
  /** It is being restarted: its end is not one that removes it. */
  keptForRestart = false;
  health: Health | undefined;
  /** Aborted when nothing more will be written to the log of this life. */
  over = abortedController();
  /** Attached before the start, with or without input. */
  readonly early = new Map<LateStream, { readonly stdin: boolean }>();
  readonly execs = new Map<string, ExecEntry>();
  /** The namespace of its last life goes. */
  sandboxGone: Promise<void> = Promise.resolve();
  /** The runtime is asked to forget its last life. */
  forgetting: Promise<void> = Promise.resolve();
  /** Its namespace file while it is active; empty: it is on the machine's own network. */
  sandboxPath = "";
  /** What is wrong with the last end, for who waited for it. Why a start failed is told to who started. */
  exitError = "";
  attachedCount = 0;
  logReaderCount = 0;
  readonly #nextExit = new Set<Waiter>();
  readonly #stopped = new Set<Waiter>();
  readonly #removed = new Set<Waiter>();
  #saving: Promise<void> = Promise.resolve();

  constructor(
    public record: ContainerRecord,
    private readonly disk: ContainerDisk,
  ) {}

  /** The step is taken at once, and on disk with the next one: for what a crash in between takes back. */
  note(step: Step): void {
    this.record = advance(this.record, step);
  }

  /** The step is taken at once, and on disk when this resolves. */
  async step(step: Step): Promise<void> {
    this.record = advance(this.record, step);
    await this.save();
  }

  /** What was noted is on disk when this resolves. */
  async save(): Promise<void> {
    const saved = this.#saving.then(() => this.disk.save(this.record));
    // One failed write does not stop the next; whoever made this step hears of it.
    this.#saving = saved.catch(() => undefined);
    await saved;
  }

  /**
   * For what has happened already, whether the disk takes it or not. An older record on disk says that
   * more is there than is; the next agent looks, finds it gone, and comes to the same.
   */
  async mustGoOn(step: Step, log: Logger): Promise<void> {
    this.note(step);
    try {
      await this.save();
    } catch (error) {
      log.error({ container: this.record.id, step: step.kind, err: messageOf(error) }, "not saved");
    }
  }

  /** For after everything that was being written has been. */
  saved(): Promise<void> {
    return this.#saving;
  }

  onExit(waiter: Waiter): () => void {
    this.#nextExit.add(waiter);
    return () => void this.#nextExit.delete(waiter);
  }

  /** It has ended and is not about to be started again. */
  onStopped(waiter: Waiter): () => void {
    this.#stopped.add(waiter);
    return () => void this.#stopped.delete(waiter);
  }

  onRemoved(waiter: Waiter): () => void {
    this.#removed.add(waiter);
    return () => void this.#removed.delete(waiter);
  }

  tellExit(): void {
    for (const waiter of this.#nextExit) waiter(this.result());
    this.#nextExit.clear();
  }

  tellStopped(): void {
    for (const waiter of this.#stopped) waiter(this.result());
    this.#stopped.clear();
  }

  tellRemoved(): void {
    this.tellExit();
    this.tellStopped();
    for (const waiter of this.#removed) waiter(this.result());
    this.#removed.clear();
  }

  show(): Container {
    const { sandboxPath, health } = this;
    return toContainer(this.record, { sandboxPath, health, restarting: this.isRestarting });
  }

  get isRestarting(): boolean {
    return this.restarting !== undefined;
  }

  result(): WaitResult {
    return { exitCode: this.record.exitCode, error: this.exitError };
  }

  takeEarly(): readonly (readonly [LateStream, { readonly stdin: boolean }])[] {
    const streams = [...this.early];
    this.early.clear();
    return streams;
  }
}

export const GIVEN_UP = refuse("unavailable", "the start was given up");

function abortedController(): AbortController {
  const controller = new AbortController();
  controller.abort();
  return controller;
}
