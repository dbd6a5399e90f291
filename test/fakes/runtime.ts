// A twin of the process runtime: its "commands" end when the test says so, and, like the real ones,
// go on when the agent that started them is gone.
import { type Duplex, PassThrough, Readable } from "node:stream";
import type { ContainerStats, Limits } from "../../agent/seams.js";
import type { ContainerDisk } from "../../agent/task/keeping.js";
import type { ContainerRecord } from "../../agent/task/life.js";
import type {
  Adopted,
  Exit,
  Launch,
  Runtime,
  Started,
  StartedExec,
  Supervised,
  Surroundings,
} from "../../agent/task/runtime.js";
import { Fault, refuse } from "../../common/fault.js";

export class FakeProcess implements Supervised {
  exited: Promise<Exit>;
  exit: Exit | undefined;
  readonly signals: number[] = [];
  /** Signals that end it. */
  endsOn = new Set([9, 15]);
  hasGone = false;
  #tell: (exit: Exit) => void = () => undefined;

  constructor(
    readonly launch: Launch,
    private readonly runtime: FakeRuntime,
  ) {
    this.exited = this.#watched();
  }

  /** What an agent that comes later sees. */
  watchAnew(): this {
    this.exited = this.#watched();
    if (this.exit) this.#tell(this.exit);
    return this;
  }

  surroundings: Surroundings | undefined;

  async go(surroundings: Surroundings): Promise<Started> {
    this.runtime.mustAnswer();
    this.surroundings = surroundings;
    const { failure } = this.runtime;
    if (failure !== undefined) return { kind: "failed", ...failure };
    this.hasGone = true;
    return { kind: "running", pid: 100, atMs: 5 };
  }

  end(exitCode: number): void {
    this.exit = { exitCode, error: "", atMs: 9 };
    this.#tell(this.exit);
  }

  async signal(number: number): Promise<void> {
    if (this.exit) throw new Fault("SHIM_GONE");
    this.signals.push(number);
    if (this.endsOn.has(number)) this.end(128 + number);
  }

  async resize(): Promise<void> {}

  async attach(): Promise<Duplex> {
    return new PassThrough();
  }

  async exec(): Promise<StartedExec> {
    const stream = new PassThrough().resume();
    const exited = Promise.resolve(this.runtime.execExit);
    return { kind: "running", exec: { pid: 101, stream, exited, resize: () => undefined } };
  }

  async pause(): Promise<void> {}
  async unpause(): Promise<void> {}
  limits: Limits | undefined;
  async limit(limits: Limits): Promise<undefined> {
    this.limits = limits;
  }
  async stats(): Promise<ContainerStats> {
    throw new Fault("NOT_A_CGROUP");
  }
  async pids(): Promise<readonly number[]> {
    return [100];
  }

  async destroy(): Promise<void> {
    this.runtime.mustAnswer();
    if (this.hasGone && this.exit === undefined) this.end(137);
    this.runtime.processes.delete(this.launch.id);
  }

  release(): void {
    this.#tell = () => undefined;
  }

  #watched(): Promise<Exit> {
    return new Promise((resolve) => {
      this.#tell = resolve;
    });
  }
}

const UNSERVED = refuse("unimplemented", "not in the fake");

export class FakeRuntime implements Runtime {
  readonly processes = new Map<string, FakeProcess>();
  /** What further commands end with. */
  execExit = 0;
  /** What is at a path of every container. */
  readonly files = new Map<string, string>();
  /** What the next commands meet. */
  failure: { readonly exitCode: number; readonly message: string } | undefined;

  /** As containerd that was killed: nothing can be asked of it. */
  isAway = false;

  mustAnswer(): void {
    if (this.isAway) throw new Fault("CONTAINERD", { status: "UNAVAILABLE" });
  }

  async prepare(launch: Launch): Promise<Supervised> {
    const process = new FakeProcess(launch, this);
    this.processes.set(launch.id, process);
    return process;
  }

  /** What `create` made of a container. */
  readonly made = new Set<string>();

  async create({ id }: Omit<Launch, "life">): Promise<void> {
    this.made.add(id);
    this.mustAnswer();
  }

  async writtenBytes(): Promise<undefined> {
    return undefined;
  }

  async erase(id: string): Promise<void> {
    await this.forget(id);
    this.made.delete(id);
  }

  readonly paths = {
    stat: async () => UNSERVED,
    read: async (_id: string, path: string) => {
      const text = this.files.get(path);
      if (text === undefined) return UNSERVED;
      const stat = { name: path, size: 0, mode: 0, mtimeMs: 0, linkTarget: "" };
      return { stat, tar: Readable.from([Buffer.from(text)]) };
    },
    write: async () => UNSERVED,
  };

  async adopt(id: string, life: number): Promise<Adopted> {
    this.mustAnswer();
    const process = this.processes.get(id);
    if (process === undefined || process.launch.life !== life || !process.hasGone) {
      this.processes.delete(id);
      return { kind: "never-ran" };
    }
    if (process.exit) return { kind: "exited", exit: process.exit };
    return { kind: "running", supervised: process.watchAnew(), pid: 100, atMs: 5 };
  }

  readLogs(): Readable {
    return Readable.from([]);
  }

  hasLeft(id: string): boolean {
    return this.processes.has(id);
  }

  async forget(id: string): Promise<void> {
    this.mustAnswer();
    this.processes.delete(id);
  }
}

/** Keeps text, as a disk does, so that nothing is shared by accident. */
export class MemoryContainerDisk implements ContainerDisk {
  readonly files = new Map<string, string>();
  /** Every record that was ever saved, in order. */
  readonly history: ContainerRecord[] = [];
  isFull = false;

  async load() {
    const records = [...this.files.values()].map((text) => JSON.parse(text) as ContainerRecord);
    return { records, damaged: [] };
  }

  async save(record: ContainerRecord): Promise<void> {
    if (this.isFull) throw new Fault("DISK_FULL", { path: "/state/containers" });
    this.history.push(record);
    this.files.set(record.id, JSON.stringify(record));
  }

  async remove(id: string): Promise<void> {
    this.files.delete(id);
  }
}
