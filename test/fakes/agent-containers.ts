// Containers without processes: "sleep" runs until it is stopped, every other command has run to its end
// as soon as it starts. `outputs` says what a command prints.
import { Duplex, PassThrough, Readable } from "node:stream";
import type {
  Container,
  ContainerSpec,
  Containers,
  EndpointWish,
  ExecSpec,
  ExecState,
  Limits,
  LogOptions,
  RestartRule,
} from "../../agent/seams.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import type { FakeAgentNode } from "./agent-node.js";

interface Held {
  container: Container;
  stdin: string;
  stdinEnded: boolean;
  printed: Buffer;
  readonly live: Set<Duplex>;
  readonly waiters: Set<() => void>;
}

/** One frame of Docker's attach stream. */
function frame(stream: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

const UNSERVED = refuse("unimplemented", "this is being built");

export class FakeContainers implements Containers {
  readonly #records = new Map<string, Held>();
  readonly #execs = new Map<string, ExecState>();
  /** By the command's first word: [stdout, stderr, exit code]. */
  readonly outputs = new Map<string, readonly [string, string, number]>();

  constructor(private readonly node: FakeAgentNode) {}

  list(): readonly Container[] {
    return [...this.#records.values()].map(({ container }) => container);
  }

  get(ref: string): Container | Refusal {
    const record = this.#find(ref);
    return isRefusal(record) ? record : record.container;
  }

  #find(ref: string): Held | Refusal {
    const all = [...this.#records.values()];
    const exact = all.find(({ container: { id, spec } }) => id === ref || spec.name === ref);
    const found = exact ?? all.find(({ container }) => ref !== "" && container.id.startsWith(ref));
    return found ?? refuse("not-found", `No such container: ${ref}`);
  }

  async create(wish: ContainerSpec): Promise<Container | Refusal> {
    const id = newLocalId(this.node.random);
    const spec = { ...wish, name: wish.name || `fake_${id.slice(0, 6)}` };
    const taken = this.list().find((each) => each.spec.name === spec.name);
    if (taken) {
      return refuse(
        "already-exists",
        `Conflict. The container name "/${spec.name}" is already in use by container "${taken.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    const container: Container = {
      id,
      spec,
      state: "created",
      pid: 0,
      exitCode: 0,
      error: "",
      createdAtMs: this.node.clock.nowMs(),
      startedAtMs: 0,
      finishedAtMs: 0,
      endpoints: [],
      sandboxPath: "",
      imageId: "",
      restartCount: 0,
      oomKilled: false,
      health: undefined,
      ports: [],
      mountPoints: [],
    };
    this.#records.set(id, {
      container,
      stdin: "",
      stdinEnded: false,
      printed: Buffer.alloc(0),
      live: new Set(),
      waiters: new Set(),
    });
    this.#event("create", container);
    return container;
  }

  async pause(ref: string): Promise<Refusal | undefined> {
    return this.#frozen(ref, "paused");
  }
  async unpause(ref: string): Promise<Refusal | undefined> {
    return this.#frozen(ref, "running");
  }
  async #frozen(ref: string, state: "paused" | "running"): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    const wanted = state === "paused" ? "running" : "paused";
    if (record.container.state !== wanted) {
      const { id } = record.container;
      return refuse("failed-precondition", `Container ${id} is not ${wanted}`);
    }
    record.container = { ...record.container, state };
    this.#event(state === "paused" ? "pause" : "unpause", record.container);
    return undefined;
  }
  async restart(ref: string): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    if (record.container.state === "running") await this.stop(ref);
    return this.start(ref);
  }
  async setRestart(ref: string, restart: RestartRule): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    const { container } = record;
    record.container = { ...container, spec: { ...container.spec, restart } };
    return undefined;
  }
  async setLimits(ref: string, limits: Limits): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    const { container } = record;
    record.container = { ...container, spec: { ...container.spec, limits } };
    return undefined;
  }
  async writtenBytes(ref: string): Promise<number | Refusal> {
    const record = this.#find(ref);
    return isRefusal(record) ? record : 12;
  }
  async connect(ref: string, wish: EndpointWish): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    const { container } = record;
    const given = this.node.giveEndpoint(wish.network, container.spec.name, container.id);
    if (isRefusal(given)) return given;
    record.container = { ...container, endpoints: [...container.endpoints, given] };
    return undefined;
  }
  async disconnect(ref: string, network: string): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    const { container } = record;
    const gone = container.endpoints.find((each) => each.network.spec?.name === network);
    if (gone === undefined) {
      return refuse(
        "permission-denied",
        `container ${container.id} is not connected to network ${network}`,
      );
    }
    this.node.takeEndpoint(gone.endpoint.id);
    const endpoints = container.endpoints.filter((each) => each !== gone);
    record.container = { ...container, endpoints };
    return undefined;
  }
  async stats(): Promise<Refusal> {
    return UNSERVED;
  }
  async top(): Promise<Refusal> {
    return UNSERVED;
  }
  async statPath(): Promise<Refusal> {
    return UNSERVED;
  }
  async readPath(): Promise<Refusal> {
    return UNSERVED;
  }
  async writePath(): Promise<Refusal | undefined> {
    return UNSERVED;
  }

  async start(ref: string): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    const { container } = record;
    const given: Container["endpoints"][number][] = [];
    for (const wish of container.spec.endpoints) {
      // What is on this node's own networks needs no address here.
      if (this.node.localNets.find(wish.network) !== undefined) continue;
      const attached = this.node.giveEndpoint(wish.network, container.spec.name, container.id);
      if (isRefusal(attached)) {
        for (const each of given) this.node.takeEndpoint(each.endpoint.id);
        if (container.spec.autoRemove) await this.remove(container.id, true);
        return refuse(
          attached.code,
          `Could not attach to network ${wish.network}: ${attached.message}`,
        );
      }
      given.push(attached);
    }
    const [word = ""] = [...container.spec.entrypoint, ...container.spec.command];
    record.container = {
      ...container,
      state: "running",
      pid: 4242,
      startedAtMs: this.node.clock.nowMs(),
      endpoints: given,
      sandboxPath: `/run/skein/sandbox/${container.id.slice(0, 12)}`,
    };
    this.#event("start", record.container);
    if (word === "sleep") return undefined;
    if (word === "cat") {
      // What was typed before it ran is read now.
      this.#print(record, record.stdin, "");
      if (record.stdinEnded) this.#end(record, 0);
      return undefined;
    }
    const [out, err, code] = this.outputs.get(word) ?? ["", "", 0];
    this.#print(record, out, err);
    // A process lives a moment: whoever attaches or waits has had its turn.
    setTimeout(() => this.#end(record, code), 20);
    return undefined;
  }

  #print(record: Held, out: string, err: string): void {
    const { tty } = record.container.spec;
    const bytes = tty
      ? Buffer.from(out + err)
      : Buffer.concat(
          [out === "" ? [] : [frame(1, out)], err === "" ? [] : [frame(2, err)]].flat(),
        );
    record.printed = Buffer.concat([record.printed, bytes]);
    for (const live of record.live) live.push(bytes);
  }

  #end(record: Held, exitCode: number): void {
    if (record.container.state !== "running") return;
    for (const { endpoint } of record.container.endpoints) this.node.takeEndpoint(endpoint.id);
    record.container = {
      ...record.container,
      state: "exited",
      exitCode,
      finishedAtMs: this.node.clock.nowMs(),
      endpoints: [],
    };
    this.#event("die", record.container);
    for (const live of record.live) live.push(null);
    record.live.clear();
    if (record.container.spec.autoRemove) this.#records.delete(record.container.id);
    for (const wake of [...record.waiters]) wake();
  }

  async stop(ref: string): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    this.#end(record, 137);
    return undefined;
  }

  async kill(ref: string, signal: string): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    if (record.container.state !== "running") {
      return refuse(
        "failed-precondition",
        `Cannot kill container: ${ref}: Container ${record.container.id} is not running`,
      );
    }
    this.#end(record, /TERM$/.test(signal) ? 143 : 137);
    return undefined;
  }

  async remove(ref: string, force: boolean): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    if (record.container.state === "running" && !force) {
      return refuse(
        "failed-precondition",
        `You cannot remove a running container ${record.container.id}. Stop the container before attempting removal or force remove`,
      );
    }
    this.#end(record, 137);
    this.#records.delete(record.container.id);
    this.#event("destroy", record.container);
    for (const wake of [...record.waiters]) wake();
    return undefined;
  }

  async rename(ref: string, name: string): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    record.container = { ...record.container, spec: { ...record.container.spec, name } };
    return undefined;
  }

  async wait(
    ref: string,
    condition: "not-running" | "next-exit" | "removed",
    signal: AbortSignal,
  ): Promise<{ readonly exitCode: number; readonly error: string } | Refusal> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    const before = record.container.finishedAtMs;
    const isDone = () =>
      condition === "removed"
        ? !this.#records.has(record.container.id)
        : condition === "not-running"
          ? record.container.state !== "running"
          : record.container.finishedAtMs !== before;
    while (!isDone() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        record.waiters.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return { exitCode: record.container.exitCode, error: "" };
  }

  logs(ref: string, options: LogOptions, signal: AbortSignal): Readable | Refusal {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    if (!options.follow || record.container.state !== "running")
      return Readable.from([record.printed]);
    const stream = this.#open(record, true);
    signal.addEventListener("abort", () => stream.destroy(), { once: true });
    return stream;
  }

  attach(
    ref: string,
    options: { readonly stdin: boolean; readonly logs: boolean },
  ): Duplex | Refusal {
    const record = this.#find(ref);
    return isRefusal(record) ? record : this.#open(record, options.logs);
  }

  #open(record: Held, past: boolean): Duplex {
    const { live } = record;
    const stream = new Duplex({
      allowHalfOpen: true,
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        record.stdin += chunk.toString();
        if (this.#isCat(record)) this.#print(record, chunk.toString(), "");
        done();
      },
      final: (done) => {
        record.stdinEnded = true;
        if (this.#isCat(record)) this.#end(record, 0);
        done();
      },
      destroy: (error, done) => {
        live.delete(stream);
        done(error);
      },
    });
    if (past && record.printed.length > 0) stream.push(record.printed);
    live.add(stream);
    return stream;
  }

  #isCat({ container: { spec, state } }: Held): boolean {
    return spec.command[0] === "cat" && state === "running";
  }

  async resize(ref: string): Promise<Refusal | undefined> {
    const record = this.#find(ref);
    return isRefusal(record) ? record : undefined;
  }

  async createExec(ref: string, spec: ExecSpec): Promise<string | Refusal> {
    const record = this.#find(ref);
    if (isRefusal(record)) return record;
    if (record.container.state !== "running") {
      return refuse("failed-precondition", `Container ${record.container.id} is not running`);
    }
    const id = newLocalId(this.node.random);
    const state = {
      id,
      containerId: record.container.id,
      spec,
      running: false,
      exitCode: 0,
      pid: 0,
    };
    this.#execs.set(id, state);
    return id;
  }

  /** Prints what `outputs` says; "cat" gives back what it is given. */
  async startExec(execId: string): Promise<Duplex | Refusal> {
    const exec = this.getExec(execId);
    if (isRefusal(exec)) return exec;
    const [word = ""] = exec.spec.command;
    const [out, err, exitCode] = this.outputs.get(word) ?? ["", "", 0];
    const wrap = (stream: 1 | 2, text: string) =>
      exec.spec.tty ? Buffer.from(text) : frame(stream, text);
    const back = new PassThrough();
    this.#execs.set(execId, { ...exec, running: true });
    const finish = () => {
      this.#execs.set(execId, { ...exec, running: false, exitCode });
      back.end();
    };
    if (out !== "") back.write(wrap(1, out));
    if (err !== "") back.write(wrap(2, err));
    if (word !== "cat") finish();
    return Duplex.from({
      readable: back,
      writable: new (class extends PassThrough {
        override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
          if (word === "cat") back.write(wrap(1, chunk.toString()));
          done();
        }
        override _final(done: () => void): void {
          if (word === "cat") finish();
          done();
        }
      })(),
    });
  }

  async resizeExec(execId: string): Promise<Refusal | undefined> {
    const exec = this.getExec(execId);
    return isRefusal(exec) ? exec : undefined;
  }

  getExec(execId: string): ExecState | Refusal {
    return this.#execs.get(execId) ?? refuse("not-found", `No such exec instance: ${execId}`);
  }

  #event(action: string, { id, spec }: Container): void {
    const attributes = { ...spec.labels, image: spec.image, name: spec.name };
    this.node.publish({ type: "container", action, id, attributes, scope: "local" });
  }
}
