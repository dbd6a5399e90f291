// Waits until a service is as it was asked to be, and shows the way there. On a terminal the lines are
// drawn again in place; elsewhere each is written once, when it changes. After docker/cli
// service/progress; the words are Docker's.
import { type Cli, Failure } from "../cli.js";
import { at, type Json, list, number, object, text } from "../json.js";
import { LiveArea } from "../term/live.js";

const POLL_MS = 200;
// Docker's default, where the service's own update config says nothing.
const MONITOR_MS = 5_000;

/** What is seen at one moment. */
interface Picture {
  readonly overall: string;
  /** One line a slot or node: "1/2: running". */
  readonly slots: readonly string[];
  readonly isDone: boolean;
  /** A job's end is final: nothing has to be stable after it. */
  readonly isFinal: boolean;
}

export async function waitForService(cli: Cli, id: string, quiet: boolean): Promise<void> {
  const stop = new AbortController();
  const forget = cli.onSignal("SIGINT", () => stop.abort());
  const screen = new Screen(cli, quiet);
  try {
    await follow(cli, id, screen, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    screen.end();
    cli.out.write(
      `Operation continuing in background.\nUse \`skein service ps ${id}\` to check progress.\n`,
    );
  } finally {
    forget();
  }
}

async function follow(cli: Cli, id: string, screen: Screen, signal: AbortSignal): Promise<void> {
  let sinceMs: number | undefined;
  let rolledBack = false;
  for (;;) {
    const service = await cli.api.get(`/services/${id}`, {
      query: { insertDefaults: false },
      signal,
    });
    const status = at(service, "UpdateStatus");
    const state = text(status, "State");
    rolledBack = note(state, text(status, "Message"), rolledBack, screen);
    const tasks = list(
      await cli.api.get("/tasks", {
        query: {
          filters: JSON.stringify({ service: { [id]: true }, "_up-to-date": { true: true } }),
        },
        signal,
      }),
    );
    const nodes = list(await cli.api.get("/nodes", { signal }));
    const picture = draw(service, tasks, nodes, state.startsWith("rollback"));
    screen.show(picture.overall, picture.slots);
    const settled = ["", "completed", "rollback_completed"].includes(state);
    if (!picture.isDone || !settled) sinceMs = undefined;
    else if (picture.isFinal) return screen.finish("job complete");
    else {
      sinceMs ??= cli.nowMs();
      const leftMs = sinceMs + monitorMs(service, rolledBack) - cli.nowMs();
      const name = text(service, "Spec", "Name") || id;
      if (leftMs <= 0) return screen.finish(`verify: Service ${name} converged`);
      screen.verify(Math.ceil(leftMs / 1000));
    }
    await pause(POLL_MS, signal);
  }
}

/** Tells of a roll-back once; throws when the update has stopped for good. */
function note(state: string, message: string, rolledBack: boolean, screen: Screen): boolean {
  switch (state) {
    case "paused":
      screen.end();
      throw new Failure(`service update paused: ${message}`);
    case "rollback_paused":
      screen.end();
      throw new Failure(`service rollback paused: ${message}`);
    case "rollback_started":
      if (!rolledBack) screen.say(`rollback: ${message}`);
      return true;
    default:
      return rolledBack;
  }
}

function monitorMs(service: Json, rolledBack: boolean): number {
  const key = rolledBack ? "RollbackConfig" : "UpdateConfig";
  const ns = number(service, "Spec", key, "Monitor");
  return ns === 0 ? MONITOR_MS : ns / 1e6;
}

function draw(
  service: Json,
  tasks: readonly Json[],
  nodes: readonly Json[],
  rollback: boolean,
): Picture {
  const mode = object(at(service, "Spec", "Mode"));
  const verb = rollback ? "rolling back update: " : "";
  const active = new Set(
    nodes
      .filter((node) => text(node, "Status", "State") !== "down")
      .map((node) => text(node, "ID")),
  );
  if (mode["ReplicatedJob"] !== undefined) return drawJob(service, tasks, mode["ReplicatedJob"]);
  if (mode["GlobalJob"] !== undefined) return drawGlobal(tasks, active, verb, "complete");
  if (mode["Global"] !== undefined) return drawGlobal(tasks, active, verb, "running");
  const wanted = number(mode["Replicated"], "Replicas");
  const bySlot = new Map<number, Json>();
  for (const task of tasks) {
    if (text(task, "DesiredState") === "shutdown" || text(task, "DesiredState") === "remove")
      continue;
    const slot = number(task, "Slot");
    const known = bySlot.get(slot);
    // The one that is furthest along stands for its slot.
    if (known === undefined || rank(task) > rank(known)) bySlot.set(slot, task);
  }
  const lines: string[] = [];
  let running = 0;
  const slots = [...bySlot.keys()].sort((a, b) => a - b).slice(0, wanted);
  for (let i = 0; i < wanted; i++) {
    const task = bySlot.get(slots[i] ?? -1);
    const isUp = task !== undefined && text(task, "Status", "State") === "running";
    if (isUp && active.has(text(task, "NodeID"))) running++;
    lines.push(`${i + 1}/${wanted}: ${task === undefined ? "" : stateOf(task)}`);
  }
  return {
    overall: `overall progress: ${verb}${running} out of ${wanted} tasks`,
    slots: lines,
    isDone: running === wanted,
    isFinal: false,
  };
}

function drawJob(service: Json, tasks: readonly Json[], job: Json): Picture {
  const total = number(job, "TotalCompletions") || 1;
  const iteration = number(service, "JobStatus", "JobIteration", "Index");
  const own = tasks.filter((task) => number(task, "JobIteration", "Index") === iteration);
  const complete = own.filter((task) => text(task, "Status", "State") === "complete").length;
  const running = own.filter((task) => text(task, "Status", "State") === "running").length;
  return {
    overall: `job progress: ${complete} out of ${total} complete; ${running} running`,
    slots: [],
    isDone: complete >= total,
    isFinal: true,
  };
}

function drawGlobal(
  tasks: readonly Json[],
  active: ReadonlySet<string>,
  verb: string,
  goal: string,
): Picture {
  const byNode = new Map<string, Json>();
  for (const task of tasks) {
    const node = text(task, "NodeID");
    if (!active.has(node) || ["shutdown", "remove"].includes(text(task, "DesiredState"))) continue;
    const known = byNode.get(node);
    if (known === undefined || rank(task) > rank(known)) byNode.set(node, task);
  }
  const reached = [...byNode.values()].filter((task) => text(task, "Status", "State") === goal);
  return {
    overall: `overall progress: ${verb}${reached.length} out of ${byNode.size} tasks`,
    slots: [...byNode].map(([node, task]) => `${node.slice(0, 12)}: ${stateOf(task)}`),
    isDone: byNode.size > 0 && reached.length === byNode.size,
    isFinal: goal === "complete",
  };
}

const ORDER = [
  "new",
  "pending",
  "assigned",
  "accepted",
  "preparing",
  "ready",
  "starting",
  "running",
];

function rank(task: Json): number {
  const state = text(task, "Status", "State");
  // What failed is told only as long as there is nothing better to tell.
  return ORDER.indexOf(state);
}

function stateOf(task: Json): string {
  return text(task, "Status", "Err") || text(task, "Status", "State");
}

/** More lines than this are not drawn; the number says enough. */
const SLOTS_SHOWN = 20;

class Screen {
  readonly #live: LiveArea | undefined;
  #said = "";
  #lines: readonly string[] = [];
  #verify = 0;
  readonly #slots = new Map<number, string>();

  constructor(
    private readonly cli: Cli,
    private readonly quiet: boolean,
  ) {
    this.#live = cli.out.isTerminal && !quiet ? new LiveArea(cli.out) : undefined;
  }

  show(overall: string, slots: readonly string[]): void {
    this.#lines = [overall, ...(slots.length <= SLOTS_SHOWN ? slots : [])];
    if (this.#live) {
      this.#live.show(this.#lines);
      return;
    }
    this.say(overall);
    for (const [i, line] of slots.slice(0, SLOTS_SHOWN).entries()) {
      if (this.#slots.get(i) === line) continue;
      this.#slots.set(i, line);
      this.#write(line);
    }
  }

  verify(seconds: number): void {
    const line = `verify: Waiting ${seconds} seconds to verify that tasks are stable...`;
    if (this.#live) this.#live.show([...this.#lines, line]);
    else if (seconds !== this.#verify) this.#write(line);
    this.#verify = seconds;
  }

  /** A line that is told when it changes. */
  say(line: string): void {
    if (line === this.#said) return;
    this.#said = line;
    if (this.#live === undefined) this.#write(line);
  }

  finish(line: string): void {
    if (this.#live) this.#live.finish([...this.#lines, line]);
    else this.#write(line);
  }

  /** Leaves what is drawn as it is. */
  end(): void {
    this.#live?.finish(this.#lines);
  }

  #write(line: string): void {
    if (!this.quiet) this.cli.out.write(`${line}\n`);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    }
  });
}
