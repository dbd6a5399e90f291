// Further commands in a running container. An exec lives with its container and with the agent: when
// the agent ends it is hung up, when the container ends it is killed.

import type { Duplex } from "node:stream";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import type { Random } from "../../common/random.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { ExecSpec, ExecState } from "../seams.js";
import { checkExec } from "../task/spec.js";
import { cannotExecPaused, execRuns, isRestarting, noSuchExec, notRunning } from "../task/words.js";
import type { ContainerEntry, ExecEntry } from "./container-entry.js";
import type { ContainerEvents } from "./container-events.js";
import { ENDED_EXECS_MAX, EXECS_MAX, tooMany } from "./containers-limits.js";

interface Found {
  readonly entry: ContainerEntry;
  readonly exec: ExecEntry;
}

export class Execs {
  readonly #byId = new Map<string, Found>();

  constructor(
    private readonly random: Random,
    private readonly events: ContainerEvents,
  ) {}

  create(entry: ContainerEntry, spec: ExecSpec): string | Refusal {
    if (entry.isRestarting) return isRestarting(entry.record);
    if (entry.record.phase !== "running") return notRunning(entry.record);
    if (entry.record.paused) return cannotExecPaused(entry.record);
    const wrong = checkExec(spec);
    if (wrong) return wrong;
    const all = [...entry.execs.values()];
    if (all.filter(({ state }) => state !== "ended").length >= EXECS_MAX) {
      return tooMany("commands in this container", EXECS_MAX);
    }
    const ended = all.filter(({ state }) => state === "ended");
    for (const { id } of ended.slice(0, ended.length - ENDED_EXECS_MAX)) this.#drop(entry, id);
    const id = newLocalId(this.random);
    const exec: ExecEntry = { id, spec, state: "created", exitCode: 0, running: undefined };
    entry.execs.set(id, exec);
    this.#byId.set(id, { entry, exec });
    this.#tell("exec_create", entry, exec);
    return id;
  }

  async start(id: string): Promise<Duplex | Refusal> {
    const found = this.#find(id);
    if (isRefusal(found)) return found;
    const { entry, exec } = found;
    if (exec.state !== "created") return execRuns(id);
    const { supervised } = entry;
    if (supervised === undefined || entry.record.phase !== "running") {
      return notRunning(entry.record);
    }
    exec.state = "starting";
    try {
      const started = await supervised.exec(id, exec.spec);
      if (started.kind === "failed") {
        exec.state = "ended";
        exec.exitCode = started.exitCode;
        const what = entry.record.spec.runtime === "process" ? "exec failed: " : "";
        return refuse("invalid-argument", `${what}${started.message}`);
      }
      exec.state = "running";
      exec.running = started.exec;
      this.#tell("exec_start", entry, exec);
      void started.exec.exited.then((exitCode) => {
        exec.state = "ended";
        exec.exitCode = exitCode;
        this.events.container("exec_die", entry.record, {
          execID: id,
          exitCode: String(exitCode),
        });
      });
      return started.exec.stream;
    } catch (error) {
      exec.state = "ended";
      exec.exitCode = 126;
      return refuse("unavailable", `exec failed: ${sentenceOf(error)}`);
    }
  }

  resize(id: string, rows: number, columns: number): Refusal | undefined {
    const found = this.#find(id);
    if (isRefusal(found)) return found;
    if (found.exec.running === undefined) {
      return refuse("failed-precondition", `Exec ${id} is not running`);
    }
    found.exec.running.resize(rows, columns);
    return undefined;
  }

  get(id: string): ExecState | Refusal {
    const found = this.#find(id);
    if (isRefusal(found)) return found;
    const { entry, exec } = found;
    return {
      id,
      containerId: entry.record.id,
      spec: exec.spec,
      running: exec.state === "running",
      exitCode: exec.exitCode,
      pid: exec.running?.pid ?? 0,
    };
  }

  /** The container is started anew, or removed. */
  forget(entry: ContainerEntry): void {
    for (const id of [...entry.execs.keys()]) this.#drop(entry, id);
  }

  #tell(action: string, entry: ContainerEntry, { id, spec }: ExecEntry): void {
    this.events.container(`${action}: ${spec.command.join(" ")}`, entry.record, { execID: id });
  }

  #drop(entry: ContainerEntry, id: string): void {
    entry.execs.delete(id);
    this.#byId.delete(id);
  }

  #find(id: string): Found | Refusal {
    return this.#byId.get(id) ?? noSuchExec(id);
  }
}
