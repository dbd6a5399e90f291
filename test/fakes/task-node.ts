// What a node's loop of tasks stands on: containers whose commands end when the test says so, images by
// name, and a swarm that tells of tasks. The containers outlive the loop, as the real ones do an agent.
import { Readable } from "node:stream";
import { NO_IMAGES } from "../../agent/loops/none.js";
import type {
  Container,
  ContainerFile,
  ContainerSpec,
  Containers,
  Images,
  NodeEvent,
  RegistryAuth,
} from "../../agent/seams.js";
import { encodeFrame, STDERR, STDOUT } from "../../agent/task/stdio-frame.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { Topic } from "../../common/watch.js";

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Health = NonNullable<Container["health"]>["status"];

export class FakeNodeContainers {
  readonly events = new Topic<NodeEvent>();
  readonly all = new Map<string, Writable<Container>>();
  readonly files = new Map<string, readonly ContainerFile[]>();
  readonly calls: string[] = [];
  readonly #ended = new Topic<string>();
  /** What the next calls meet, by name ("start"). */
  readonly refusals = new Map<string, Refusal>();
  /** Calls of this name wait until the function here is called. */
  readonly held = new Map<string, Promise<void>>();
  /** By image: its containers have a check, which says this at first. */
  readonly healthOf = new Map<string, Health>();
  readonly output: (readonly [1 | 2, string])[] = [];
  startsAtOnce = 0;
  mostStartsAtOnce = 0;
  #made = 0;

  /** Holds calls of this name back; the answer lets them go. */
  hold(name: string): () => void {
    let release = () => {};
    this.held.set(name, new Promise((resolve) => (release = resolve)));
    return () => {
      this.held.delete(name);
      release();
    };
  }

  async #call(name: string, id: string): Promise<Refusal | undefined> {
    this.calls.push(`${name} ${id}`);
    await this.held.get(name);
    return this.refusals.get(name);
  }

  readonly seam = {
    list: () => [...this.all.values()],
    get: (ref: string) => this.all.get(ref) ?? refuse("not-found", `No such container: ${ref}`),
    create: (spec: ContainerSpec) => this.#create(spec),
    start: (ref: string, files?: readonly ContainerFile[]) => this.#start(ref, files ?? []),
    stop: (ref: string) => this.#stop(ref),
    remove: (ref: string) => this.#remove(ref),
    wait: (ref: string, _condition: string, signal: AbortSignal) => this.#wait(ref, signal),
    logs: () =>
      Readable.from(
        this.output.map(([stream, text]) =>
          encodeFrame(stream === 1 ? STDOUT : STDERR, Buffer.from(text)),
        ),
      ),
  } as unknown as Containers;

  async #create(spec: ContainerSpec): Promise<Container | Refusal> {
    const refusal = await this.#call("create", spec.name);
    if (refusal) return refusal;
    if ([...this.all.values()].some((each) => each.spec.name === spec.name)) {
      return refuse("already-exists", "Conflict.");
    }
    const id = `c${++this.#made}`;
    const container: Container = {
      ...{ id, spec, state: "created", pid: 0, exitCode: 0, error: "", createdAtMs: 1 },
      ...{ startedAtMs: 0, finishedAtMs: 0, endpoints: [], sandboxPath: "", imageId: "" },
      ...{ restartCount: 0, oomKilled: false, health: undefined, ports: [], mountPoints: [] },
    };
    this.all.set(id, container);
    return container;
  }

  async #start(ref: string, files: readonly ContainerFile[]): Promise<Refusal | undefined> {
    this.mostStartsAtOnce = Math.max(this.mostStartsAtOnce, ++this.startsAtOnce);
    const refusal = await this.#call("start", ref);
    this.startsAtOnce--;
    if (refusal) return refusal;
    const container = this.all.get(ref);
    if (container === undefined) return refuse("not-found", `No such container: ${ref}`);
    this.files.set(ref, files);
    container.state = "running";
    container.startedAtMs = 2;
    container.pid = 100;
    container.ports = container.spec.ports.map((port) => ({
      ...port,
      hostPort: port.hostPort || 32_768,
    }));
    const health = this.healthOf.get(container.spec.image);
    if (health) container.health = { status: health, failingStreak: 0, log: [] };
    return undefined;
  }

  async #stop(ref: string): Promise<Refusal | undefined> {
    const refusal = await this.#call("stop", ref);
    if (refusal) return refusal;
    const container = this.all.get(ref);
    if (container === undefined) return refuse("not-found", `No such container: ${ref}`);
    if (container.state === "running") this.end(ref, 143);
    return undefined;
  }

  async #remove(ref: string): Promise<Refusal | undefined> {
    const refusal = await this.#call("remove", ref);
    if (refusal) return refusal;
    if (this.all.get(ref)?.state === "running") this.end(ref, 137);
    this.all.delete(ref);
    return undefined;
  }

  #wait(ref: string, signal: AbortSignal) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const container = this.seam.get(ref);
        if (isRefusal(container)) return resolve(container);
        if (container.state === "running") return;
        resolve({ exitCode: container.exitCode, error: container.error });
      };
      const unsubscribe = this.#ended.subscribe((id) => id === ref && look());
      const onAbort = () => {
        unsubscribe();
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      look();
    });
  }

  end(id: string, exitCode: number, error = ""): void {
    const container = this.all.get(id);
    if (container === undefined) return;
    Object.assign(container, { state: "exited", exitCode, error, pid: 0, health: undefined });
    this.#tell("die", id);
    this.#ended.publish(id);
  }

  healthIs(id: string, status: Health): void {
    const container = this.all.get(id);
    if (container) container.health = { status, failingStreak: 0, log: [] };
    this.#tell(`health_status: ${status}`, id);
  }

  #tell(action: string, id: string): void {
    const event = { type: "container", scope: "local", attributes: {}, timeNs: 0n } as const;
    this.events.publish({ ...event, action, id });
  }
}

/** Images by reference; those of `remote` come by a pull. */
export class FakeNodeImages {
  readonly local = new Set<string>();
  readonly remote = new Set<string>();
  readonly pulls: string[] = [];
  readonly auths: (RegistryAuth | undefined)[] = [];
  /** Pulls go on until they are let go, or given up. */
  hanging = false;

  readonly seam: Images = {
    ...NO_IMAGES,
    problem: () => undefined,
    get: async (ref) =>
      this.local.has(ref) ? ({ id: ref } as never) : refuse("not-found", `No such image: ${ref}`),
    pull: async (ref, { auth }, _report, signal) => {
      this.pulls.push(ref);
      this.auths.push(auth);
      if (this.hanging) {
        await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        });
      }
      if (!this.remote.has(ref)) return refuse("not-found", "the registry does not answer");
      this.local.add(ref);
      return undefined;
    },
  };
}
