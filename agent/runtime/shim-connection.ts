// The supervisor's end of one connection from the agent.
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { messageOf, unreachable } from "../../common/fault.js";
import { exitCodeOf } from "../task/signals.js";
import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  NOTICE,
  STDERR,
  STDIN,
  STDOUT,
} from "../task/stdio-frame.js";
import type { Child, Command, Launched } from "./launcher.js";
import type { NamespaceWish } from "./namespaces.js";
import { Outlet, type OutletClient } from "./outlet.js";
import { decodeMessage, encodeMessage, type Notice, type Request } from "./shim-protocol.js";

/** What a connection may ask of the supervisor. */
export interface Asker {
  readonly output: Outlet;
  status(): Notice;
  input(): Writable | undefined;
  isStarted(): boolean;
  isTerminal(): boolean;
  resize(rows: number, columns: number): void;
  go(command: Command, namespaces: NamespaceWish): Promise<Notice>;
  exec(command: Command): Promise<Launched>;
  signal(number: number): void;
  destroy(): void;
}

export class ShimConnection implements OutletClient {
  readonly #decoder = new FrameDecoder();
  #exec: Child | undefined;
  /** Where what the client types goes; undefined: nowhere. */
  #inputOf: (() => Writable | undefined) | undefined;
  /** The end of a terminal's input is a character that a person types, not a closed connection. */
  #closesInput: () => boolean = () => false;
  /** What was typed before there was a command to read it. */
  #typedAhead: Buffer[] = [];

  constructor(
    private readonly socket: Socket,
    private readonly asker: Asker,
  ) {
    socket.on("data", (chunk) => this.#received(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#closed());
  }

  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  output(stream: "stdout" | "stderr", chunk: Buffer): void {
    this.#write(encodeFrame(stream === "stdout" ? STDOUT : STDERR, chunk));
  }

  cutOff(): void {
    this.socket.destroy();
  }

  /** The command runs, and reads. */
  started(): void {
    this.socket.resume();
    for (const data of this.#typedAhead.splice(0)) this.#type(data);
  }

  notify(notice: Notice): void {
    // An exec has an end of its own.
    if (this.#exec === undefined) this.#write(encodeMessage(notice));
  }

  /** Resolves when the other side has taken everything, or is gone. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) return resolve();
      this.socket.once("close", () => resolve());
      this.socket.end();
      this.socket.resume();
    });
  }

  #write(data: Buffer): void {
    if (this.socket.writable) this.socket.write(data);
  }

  #received(chunk: Buffer): void {
    const frames = this.#decoder.push(chunk);
    if (frames === undefined) return void this.socket.destroy();
    for (const frame of frames) this.#take(frame);
  }

  #take(frame: Frame): void {
    if (frame.stream === STDIN) {
      this.#type(frame.payload);
      return;
    }
    const request =
      frame.stream === NOTICE ? decodeMessage<Request>(frame.payload, "op") : undefined;
    if (request === undefined) this.socket.destroy();
    else this.#serve(request);
  }

  #serve(request: Request): void {
    switch (request.op) {
      case "control":
        this.#write(encodeMessage(this.asker.status()));
        break;
      case "go":
        void this.#go(request.command, request.namespaces);
        break;
      case "signal":
        this.#signal(request.number, request.call);
        break;
      case "resize":
        this.#resize(request.rows, request.columns);
        break;
      case "destroy":
        this.asker.destroy();
        break;
      case "attach":
        this.asker.output.add(this);
        if (request.stdin) this.#inputOf = () => this.asker.input();
        this.#closesInput = () => !this.asker.isTerminal();
        this.#write(encodeMessage({ event: "attached" }));
        break;
      case "exec":
        void this.#startExec(request.command);
        break;
      default:
        unreachable(request);
    }
  }

  async #go(command: Command, namespaces: NamespaceWish): Promise<void> {
    try {
      this.#write(encodeMessage(await this.asker.go(command, namespaces)));
    } catch (error) {
      // The main thread may be in another namespace now; nothing more can be done from here.
      const message = messageOf(error);
      this.#write(encodeMessage({ event: "failed", exitCode: 128, message }));
      this.socket.end(() => process.exit(1));
    }
  }

  #signal(number: number, call: number): void {
    let error = "";
    try {
      this.asker.signal(number);
    } catch (thrown) {
      error = messageOf(thrown);
    }
    this.#write(encodeMessage({ event: "signalled", call, error }));
  }

  #resize(rows: number, columns: number): void {
    try {
      if (this.#exec) this.#exec.resize(rows, columns);
      else this.asker.resize(rows, columns);
    } catch {
      // The terminal closed meanwhile.
    }
  }

  #type(data: Buffer): void {
    if (this.#inputOf !== undefined && this.#exec === undefined && !this.asker.isStarted()) {
      this.#typedAhead.push(data);
      this.socket.pause();
      return;
    }
    const input = this.#inputOf?.();
    if (input === undefined || input.destroyed || input.writableEnded) return;
    if (data.length === 0) {
      if (this.#closesInput()) input.end();
      return;
    }
    // A command that does not read stops the one who types, not our memory.
    if (!input.write(data)) {
      this.socket.pause();
      const go = () => this.socket.resume();
      input.once("drain", go);
      input.once("close", go);
    }
  }

  async #startExec(command: Command): Promise<void> {
    const launched = await this.asker.exec(command);
    if (launched.kind === "failed") {
      const { exitCode, message } = launched;
      this.#write(encodeMessage({ event: "failed", exitCode, message }));
      return void this.socket.end();
    }
    const { child } = launched;
    this.#exec = child;
    this.#inputOf = () => child.input;
    this.#closesInput = () => !command.tty;
    const exited = new Promise<number>((resolve) => {
      child.process.once("exit", (code, signal) => resolve(exitCodeOf(code, signal)));
    });
    if (this.socket.destroyed) this.#closed();
    this.#write(encodeMessage({ event: "started", pid: child.pid, atMs: Date.now() }));
    const outlet = new Outlet();
    outlet.add(this);
    const drained = outlet.carry(child, () => undefined);
    const exitCode = await exited;
    // A child that it left behind may hold its output open for ever; Docker waits for that one, we do not.
    await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, EXEC_DRAIN_MS))]);
    const exit = { exitCode, error: "", atMs: Date.now() };
    this.#write(encodeMessage({ event: "exited", exit }));
    this.socket.end();
  }

  #closed(): void {
    this.asker.output.remove(this);
    if (this.#exec === undefined) return;
    try {
      // Its terminal is gone, so it is hung up, with all of its session's foreground.
      process.kill(-this.#exec.pid, "SIGHUP");
    } catch {
      // It has ended.
    }
  }
}

// Choice: what is still in a pipe after the end is read in far less.
const EXEC_DRAIN_MS = 500;
