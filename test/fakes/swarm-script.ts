// A conversation with an orchestrated swarm as text: commands, "----", and what they showed. One scenario
// begins with a line "# …"; a file holds several. With SKEIN_REWRITE=1 the second half is written anew.
import { ServiceSpec, type Task, TaskState, UpdateState } from "../../proto/gen/service.js";
import { Availability } from "../../proto/gen/types.js";
import { OrchestratedSwarm } from "./orchestrated-swarm.js";

export interface Scenario {
  readonly title: string;
  readonly commands: readonly string[];
  readonly want: string;
}

export function parseScenarios(text: string): readonly Scenario[] {
  return text
    .split(/^# /m)
    .slice(1)
    .map((part) => {
      const [head = "", want = ""] = part.split(/^----\n/m);
      const [title = "", ...commands] = head.trimEnd().split("\n");
      return { title, commands, want: want.trimEnd() };
    });
}

export function formatScenario({ title, commands }: Scenario, shown: string): string {
  return `# ${title}\n${commands.join("\n")}\n----\n${shown}\n`;
}

export function runScenario({ commands }: Scenario): string {
  const script = new Script();
  return commands.flatMap((line) => script.run(line)).join("\n");
}

const NANOSECONDS = 1e9;

class Script {
  #swarm = new OrchestratedSwarm();

  run(line: string): readonly string[] {
    const [command = "", name = "", ...words] = line.split(/\s+/);
    const swarm = this.#swarm;
    switch (command) {
      case "nodes":
        this.#swarm = new OrchestratedSwarm(Number(name));
        return [];
      case "create":
        swarm.create(changed(ServiceSpec.fromPartial({ name }), words));
        return [];
      case "update":
        swarm.update(name, (spec) => changed(spec, words));
        return [];
      case "rollback":
        swarm.rollBack(name);
        return [];
      case "remove":
        swarm.remove(name);
        return [];
      case "cut-off":
        swarm.cutOff(name);
        return [];
      case "join":
        swarm.join(name);
        return [];
      case "back":
        swarm.hello(name);
        return [];
      case "drain":
      case "pause":
      case "activate":
        swarm.availability(name, AVAILABILITY[command]);
        return [];
      case "label":
        swarm.changeNode(name, (node) => ({
          ...node,
          spec: node.spec && { ...node.spec, labels: Object.fromEntries(words.map(pairOf)) },
        }));
        return [];
      case "advance":
        swarm.advance(secondsOf(name) * 1_000);
        return [];
      case "watch":
        return this.#watch(name, secondsOf(words[0] ?? "0"));
      case "ps":
        return this.#ps(name);
      case "status":
        return [`${this.#at()} ${statusOf(swarm, name)}`];
      default:
        throw new Error(`no command ${command}`);
    }
  }

  #at(): string {
    return `${(this.#swarm.nowMs / 1_000).toFixed(2)}s`;
  }

  /** A line for each change of what runs, and of the update's status. */
  #watch(name: string, seconds: number): readonly string[] {
    const swarm = this.#swarm;
    const lines: string[] = [];
    let last = "";
    const look = () => {
      const service = swarm.view.serviceByName(name);
      if (service === undefined) return;
      const running = swarm
        .tasks(service.id)
        .filter(({ status }) => status?.state === TaskState.RUNNING)
        .map((task) => `${placeOf(task)}:${versionOf(task)}`);
      const now = `${running.sort().join(" ") || "nothing"}; ${statusOf(swarm, name)}`;
      if (now !== last) lines.push(`${this.#at()} ${now}`);
      last = now;
    };
    const before = swarm.onStep;
    swarm.onStep = look;
    look();
    swarm.advance(seconds * 1_000);
    swarm.onStep = before;
    return lines;
  }

  #ps(name: string): readonly string[] {
    const service = this.#swarm.view.serviceByName(name);
    const tasks = service === undefined ? [] : this.#swarm.tasks(service.id);
    return [...tasks]
      .sort((a, b) => placeOf(a).localeCompare(placeOf(b), "en", { numeric: true }))
      .map((task) => {
        const { desiredState, nodeId, status } = task;
        const err = status?.err ? ` "${status.err}"` : "";
        const wanted = TaskState[desiredState]?.toLowerCase();
        const state = TaskState[status?.state ?? 0]?.toLowerCase();
        return `${name}.${placeOf(task)} ${versionOf(task)} on ${nodeId || "-"}: ${wanted}, is ${state}${err}`;
      });
  }
}

const AVAILABILITY = {
  drain: Availability.DRAIN,
  pause: Availability.PAUSE,
  activate: Availability.ACTIVE,
};

function placeOf(task: Task): string {
  return task.slot > 0 ? String(task.slot) : task.nodeId;
}

function versionOf(task: Task): string {
  return task.spec?.container?.image ?? "";
}

function statusOf(swarm: OrchestratedSwarm, name: string): string {
  const status = swarm.service(name).updateStatus;
  if (status === undefined || status.state === UpdateState.NONE) return "no update";
  const message = status.message.replace(/task \S+/, "task ID");
  return `${UpdateState[status.state]?.toLowerCase()} (${message})`;
}

function pairOf(word: string): [string, string] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}

function secondsOf(text: string): number {
  return Number(text.replace(/s$/, ""));
}

/** The spec with what "key=value" words say; the same keys for all that can be said. */
function changed(before: ServiceSpec, words: readonly string[]): ServiceSpec {
  const spec = structuredClone(before) as unknown as Loose;
  const task = within(spec, "task");
  for (const [key, value] of words.map(pairOf)) {
    const update = () => {
      const config = within(spec, key.startsWith("rollback-") ? "rollback" : "update");
      config["parallelism"] ??= 1;
      return config;
    };
    const restart = () => within(task, "restart");
    switch (key.replace("rollback-", "")) {
      case "image":
        within(task, "container")["image"] = value;
        break;
      case "args":
        within(task, "container")["args"] = value.split(",");
        break;
      case "force":
        task["forceUpdate"] = Number(value);
        break;
      case "replicas":
        spec["mode"] = { $case: "replicated", value: { replicas: Number(value) } };
        break;
      case "global":
        spec["mode"] = { $case: "global", value: {} };
        break;
      case "job": {
        const [totalCompletions, maxConcurrent] = value.split("/").map(Number);
        spec["mode"] = { $case: "replicatedJob", value: { totalCompletions, maxConcurrent } };
        break;
      }
      case "global-job":
        spec["mode"] = { $case: "globalJob", value: {} };
        break;
      case "constraint":
        within(task, "placement")["constraints"] = value === "" ? [] : [value];
        break;
      case "label":
        spec["labels"] = { label: value };
        break;
      case "parallelism":
        update()["parallelism"] = Number(value);
        break;
      case "delay":
        update()["delayNs"] = secondsOf(value) * NANOSECONDS;
        break;
      case "monitor":
        update()["monitorNs"] = secondsOf(value) * NANOSECONDS;
        break;
      case "action":
        update()["failureAction"] = ["pause", "continue", "rollback"].indexOf(value);
        break;
      case "ratio":
        update()["maxFailureRatio"] = Number(value);
        break;
      case "order":
        update()["order"] = ["stop-first", "start-first"].indexOf(value);
        break;
      case "restart":
        restart()["condition"] = ["any", "on-failure", "none"].indexOf(value);
        break;
      case "restart-delay":
        restart()["delayNs"] = secondsOf(value) * NANOSECONDS;
        break;
      case "attempts":
        restart()["maxAttempts"] = Number(value);
        break;
      case "window":
        restart()["windowNs"] = secondsOf(value) * NANOSECONDS;
        break;
      default:
        throw new Error(`no key ${key}`);
    }
  }
  return ServiceSpec.fromPartial(spec as Parameters<typeof ServiceSpec.fromPartial>[0]);
}

type Loose = Record<string, unknown>;

function within(object: Loose, key: string): Loose {
  const inner = (object[key] ?? {}) as Loose;
  object[key] = inner;
  return inner;
}
