// A machine of the simulated swarm. Real: the manager process (Manager, member, loops, store), and of the agent its
// session, what it holds of its assignments, and its role loop. A model: containers, which do as they are told at once
// or soon, and the certificates, which were all made beforehand.
import { Applied } from "../../../agent/loops/applied.js";
import { HeldAssignments } from "../../../agent/loops/held-assignments.js";
import type { RoleLoop } from "../../../agent/loops/role.js";
import { SessionLoop, type SessionState } from "../../../agent/loops/session.js";
import { TaskReports } from "../../../agent/loops/task-reports.js";
import type { ManagerLink } from "../../../agent/seams.js";
import { isRefusal, type Refusal } from "../../../common/fault.js";
import { silentLogger } from "../../../common/log.js";
import { seededRandom } from "../../../common/random.js";
import { DEFAULT_TIMING } from "../../../common/timing.js";
import { itself } from "../../../manager/loops/itself.js";
import type { Member } from "../../../manager/member.js";
import type {
  Assignments,
  AttachRequest,
  AttachResponse,
  ManagerMessage,
} from "../../../proto/gen/dispatcher.js";
import { type Task, TaskState, TaskStatus } from "../../../proto/gen/service.js";
import { NodeDescription } from "../../../proto/gen/types.js";
import type { Credentials } from "../../fakes/seat-credentials.js";
import { SeatNode } from "../../fakes/seat-node.js";
import { addrOf } from "../../fakes/seat-store.js";
import { SimDisk } from "./disk.js";
import { openSession } from "./session.js";
import { MachineClock, type VirtualTime } from "./time.js";
import type { Wires } from "./wires.js";

export interface NodeOptions {
  readonly id: string;
  readonly seed: number;
  readonly time: VirtualTime;
  readonly wires: Wires;
  readonly credentials: Credentials;
  /** Addresses of the managers that it begins with. */
  readonly managers: readonly string[];
  readonly slowestWriteMs: () => number;
  readonly onTold: (by: Member, nodeId: string, message: ManagerMessage) => void;
  readonly trace: (line: () => string) => void;
  readonly onNewDisk: (node: SimNode, disk: SimDisk) => void;
}

// Choice: from "start" to "runs", at most.
const START_MS = 300;
const LOG = silentLogger();

export class SimNode {
  readonly id: string;
  readonly addr: string;
  readonly clock: MachineClock;
  readonly seat: SeatNode<SimDisk>;
  session: SessionState = { kind: "connecting", problem: "" };
  held: HeldAssignments | undefined;
  /** What its containers are; they outlive the agent. */
  readonly #tasks = new Map<string, TaskState>();
  #journal: Assignments | undefined;
  #isRunning = false;
  #runs = 0;
  readonly #random;

  constructor(readonly options: NodeOptions) {
    const { id, time, wires, credentials, managers, seed } = options;
    this.id = id;
    this.addr = addrOf(id);
    this.clock = new MachineClock(time);
    this.#random = seededRandom(seed);
    this.seat = new SeatNode<SimDisk>({
      id,
      addr: this.addr,
      network: wires,
      credentials,
      clock: this.clock,
      timing: DEFAULT_TIMING,
      seed,
      managers,
      listen: (_, role, signal) => this.#follow(role, signal),
      newLog: () => {
        const disk = new SimDisk(time, this.#random, options.slowestWriteMs);
        options.onNewDisk(this, disk);
        return disk;
      },
    });
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }
  get member(): Member | undefined {
    return this.seat.process?.member;
  }
  get disk(): SimDisk {
    return this.seat.disk.log;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.seat.startAgent();
  }

  /** Power loss, or SIGKILL to both. Answers what the disk was left with. */
  crash(): string {
    const left = this.killManager();
    this.#isRunning = false;
    this.seat.killAgent();
    return left;
  }

  /** The process alone; its agent starts it again. */
  killManager(): string {
    const { process } = this.seat;
    process?.kill();
    return process === undefined ? "" : this.disk.crash();
  }

  /** As `skein network connect`: asks around among the managers once. */
  async attach(request: AttachRequest, signal: AbortSignal): Promise<AttachResponse | Refusal> {
    return (await this.#ask("attach", request, signal)) as AttachResponse | Refusal;
  }
  async detach(endpointId: string, signal: AbortSignal): Promise<Refusal | undefined> {
    const answer = await this.#ask("detach", { endpointId }, signal);
    return isRefusal(answer) ? answer : undefined;
  }

  async #ask(method: "attach" | "detach", request: unknown, signal: AbortSignal) {
    const { wires } = this.options;
    let last: unknown = new Error("no manager is known");
    for (const to of this.seat.addresses) {
      try {
        return await wires.call({
          from: this.addr,
          to,
          tls: this.#tls(),
          path: `/skein.v1.Dispatcher/${method === "attach" ? "Attach" : "Detach"}`,
          caller: { ...itself(signal), local: false },
          methodOf:
            ({ dispatcher }) =>
            (asked, caller) =>
              (dispatcher[method] as (r: unknown, c: typeof caller) => Promise<unknown>)(
                asked,
                caller,
              ),
          request,
        });
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  #tls() {
    return this.options.credentials.identity(this.id, this.seat.certificate);
  }

  async #follow(role: RoleLoop, signal: AbortSignal): Promise<void> {
    const { wires, onTold, seed, trace } = this.options;
    const journal = {
      load: async () => this.#journal,
      save: async (assignments: Assignments) => {
        if (!signal.aborted) this.#journal = assignments;
      },
      clear: async () => {},
    };
    const held = new HeldAssignments(
      this.#journal,
      this.id,
      journal,
      this.clock,
      DEFAULT_TIMING,
      LOG,
    );
    this.held = held;
    const reports = new TaskReports();
    for (const [id, state] of this.#tasks) reports.set(id, statusOf(state, this.clock));
    held.changed.subscribe(() => !signal.aborted && this.#work(held, reports, signal));
    const link: Pick<ManagerLink, "openSession"> = {
      openSession: (to, hello, ended) =>
        openSession(wires, {
          from: this.addr,
          to,
          tls: this.#tls(),
          hello,
          dialMs: DEFAULT_TIMING.dialMs,
          signal: ended,
          onTold: (by, message) => onTold(by, this.id, message),
        }),
    };
    const loop = new SessionLoop({
      link: link as ManagerLink,
      held,
      clock: this.clock,
      random: seededRandom(seed * 1_000 + this.#runs++),
      timing: DEFAULT_TIMING,
      log: LOG,
      addresses: () => this.seat.addresses,
      hello: () => ({
        description: describe(this.id),
        dataPathAddr: this.addr.split(":")[0] ?? "",
        clusterId: "",
        generation: 0,
      }),
      onNode: (update) => {
        const addresses = update.managers.map(({ addr }) => addr);
        trace(() => `${this.id} hears of managers ${addresses.join(" ")}`);
        if (addresses.length > 0) this.seat.managers = addresses;
        if (update.node?.spec !== undefined) role.hear(update.node);
      },
      onCheck: ({ checkId }) => ({ checkId, check: undefined }),
      onProbe: () => {},
      onGeneration: () => {},
      onState: (state) => {
        this.session = state;
        const of = state.kind === "open" ? `at ${state.addr}` : state.problem;
        trace(() => `${this.id} session ${state.kind} ${of}`);
      },
      tasks: { reports, logs: { subscribe: () => {}, closed: () => {} } },
      inquiries: { begin: () => {}, closed: () => {} },
      applied: new Applied(held, async () => ({ dataPathPorts: [4789], dataPathProblem: "" })),
    });
    await loop.run(signal);
    await held.close();
    if (this.held === held) this.session = { kind: "connecting", problem: "the agent is gone" };
  }

  /** Containers become what is wanted of them. */
  #work(held: HeldAssignments, reports: TaskReports, signal: AbortSignal): void {
    const { time } = this.options;
    const wanted = new Map(held.current.tasks.map((task) => [task.id, task]));
    for (const id of this.#tasks.keys()) {
      if (wanted.has(id)) continue;
      this.#tasks.delete(id);
      reports.forget(id);
    }
    const become = (task: Task, state: TaskState) => {
      this.#tasks.set(task.id, state);
      reports.set(task.id, statusOf(state, this.clock));
    };
    for (const task of wanted.values()) {
      const state = this.#tasks.get(task.id);
      const ends = task.desiredState >= TaskState.SHUTDOWN;
      if (ends && (state ?? 0) < TaskState.COMPLETE) become(task, TaskState.SHUTDOWN);
      else if (!ends && state === undefined && task.desiredState >= TaskState.RUNNING) {
        become(task, TaskState.PREPARING);
        time.in(this.#random.below(START_MS), () => {
          const now = this.#tasks.get(task.id);
          if (now === TaskState.PREPARING && !signal.aborted) become(task, TaskState.RUNNING);
        });
      } else if (!ends && state === TaskState.PREPARING && this.#isRunning) {
        // Its agent was killed while it started.
        time.in(START_MS, () => {
          const now = this.#tasks.get(task.id);
          if (now === TaskState.PREPARING && !signal.aborted) become(task, TaskState.RUNNING);
        });
      }
    }
  }
}

function describe(hostname: string): NodeDescription {
  const platform = { architecture: "x86_64", os: "linux" };
  return NodeDescription.fromPartial({ hostname, platform, nanoCpus: 4e9, memoryBytes: 8e9 });
}

function statusOf(state: TaskState, clock: MachineClock): TaskStatus {
  return { ...TaskStatus.create(), state, atMs: clock.nowMs() };
}
