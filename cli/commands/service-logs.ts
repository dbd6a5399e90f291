// skein service logs: the output of tasks, wherever they run, with the task and its node in front.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { shortId } from "../format/units.js";
import { DaemonError, segment } from "../http/api.js";
import { reading } from "../http/failure.js";
import { flag, type Json, number, text } from "../json.js";
import { FrameReader } from "../stream/frames.js";
import { copyOut } from "../stream/session.js";
import { interruptible } from "../term/interrupt.js";
import { logQuery } from "./log-query.js";

export const logs: Handler = async (cli, { args, flags }) => {
  const ref = args[0] ?? "";
  const found = await find(cli, ref);
  const raw = flags.bool("raw");
  if (found.tty && !raw) {
    throw new Failure("tty service logs only supported with --raw");
  }
  // Docker's daemon tells the task and the node of a line only as its details.
  const query = logQuery(cli, flags, !raw || flags.bool("details"));
  return interruptible(cli, async (signal) => {
    const stream = await cli.api.stream("GET", `${found.path}/logs`, { query, signal });
    if (raw || found.tty) await copyOut(cli, stream, found.tty);
    else {
      const options = {
        details: flags.bool("details"),
        timestamps: flags.bool("timestamps"),
        resolve: !flags.bool("no-resolve"),
        taskIds: !flags.bool("no-task-ids"),
        truncate: !flags.bool("no-trunc"),
      };
      await copyLines(cli, stream, new Contexts(cli, options, found.replicas));
    }
    return 0;
  });
};

interface Source {
  readonly path: string;
  readonly tty: boolean;
  /** For the width of the column of names. */
  readonly replicas: number;
}

async function find(cli: Cli, ref: string): Promise<Source> {
  const name = segment("service", ref);
  const service = await unlessMissing(
    cli.api.get(`/services/${name}`, { query: { insertDefaults: false } }),
  );
  if (service !== undefined) {
    const replicas = number(service, "Spec", "Mode", "Replicated", "Replicas");
    const tty = flag(service, "Spec", "TaskTemplate", "ContainerSpec", "TTY");
    return { path: `/services/${name}`, tty, replicas };
  }
  const task = await unlessMissing(cli.api.get(`/tasks/${name}`));
  if (task === undefined) throw new Failure(`no such task or service: ${ref}`);
  const tty = flag(task, "Spec", "ContainerSpec", "TTY");
  return { path: `/tasks/${name}`, tty, replicas: number(task, "Slot") };
}

async function unlessMissing(asked: Promise<Json>): Promise<Json> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof DaemonError && error.status === 404) return undefined;
    throw error;
  }
}

interface Options {
  readonly details: boolean;
  readonly timestamps: boolean;
  readonly resolve: boolean;
  readonly taskIds: boolean;
  readonly truncate: boolean;
}

/** "web.1.gxg8omah1jb8@h1    |" for each task, asked for once. */
class Contexts {
  readonly #tasks = new Map<string, Promise<string>>();

  constructor(
    private readonly cli: Cli,
    private readonly options: Options,
    private readonly replicas: number,
  ) {}

  /** One line as it came, details in front, as it is to be shown. */
  async show(line: string): Promise<string> {
    const { details, timestamps } = this.options;
    const match = timestamps ? /^(\S+) (\S*) ?(.*)$/s.exec(line) : /^()(\S*) ?(.*)$/s.exec(line);
    const [, stamp = "", labels = "", message = line] = match ?? [];
    const pairs = new Map(
      labels.split(",").map((pair): [string, string] => {
        const at = pair.indexOf("=");
        return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))];
      }),
    );
    const name = await this.#nameOf(
      pairs.get("com.docker.swarm.task.id") ?? "",
      pairs.get("com.docker.swarm.node.id") ?? "",
    );
    const own = [...pairs].filter(([key]) => key !== "" && !key.startsWith("com.docker.swarm."));
    const shown = details ? `${own.map(([key, value]) => `${key}=${value}`).join(",")} ` : "";
    return `${stamp === "" ? "" : `${stamp} `}${name}${shown}${message}`;
  }

  #nameOf(taskId: string, nodeId: string): Promise<string> {
    const known = this.#tasks.get(taskId);
    if (known !== undefined) return known;
    const asked = this.#ask(taskId, nodeId);
    this.#tasks.set(taskId, asked);
    return asked;
  }

  async #ask(taskId: string, nodeId: string): Promise<string> {
    const { resolve, taskIds, truncate } = this.options;
    const short = (id: string) => (truncate ? shortId(id) : id);
    const get = (path: string) => this.cli.api.get(path).catch(() => undefined);
    const task = resolve ? await get(`/tasks/${taskId}`) : undefined;
    const node = resolve ? await get(`/nodes/${nodeId}`) : undefined;
    const service = resolve ? await get(`/services/${text(task, "ServiceID")}`) : undefined;
    const slot = number(task, "Slot") || short(nodeId);
    const serviceName = text(service, "Spec", "Name");
    const base = serviceName === "" ? short(taskId) : `${serviceName}.${slot}`;
    const name = serviceName !== "" && taskIds ? `${base}.${short(taskId)}` : base;
    const host = text(node, "Description", "Hostname") || short(nodeId);
    // Docker leaves room for the longest slot number, and three spaces more.
    const room = Math.max(0, String(this.replicas).length - String(slot).length) + 3;
    return `${name}@${host}${" ".repeat(room)} | `;
  }
}

async function copyLines(
  cli: Cli,
  stream: Parameters<typeof reading>[0],
  contexts: Contexts,
): Promise<void> {
  const frames = new FrameReader();
  const rests = { stdout: "", stderr: "", daemon: "" };
  for await (const chunk of reading(stream)) {
    for (const { stream: name, payload } of frames.push(Buffer.from(chunk))) {
      const lines = (rests[name] + Buffer.from(payload).toString("utf8")).split("\n");
      rests[name] = lines.pop() ?? "";
      if (name === "daemon")
        throw new Failure(`Error from daemon in stream: ${lines.join("\n") || rests[name]}`);
      const out = name === "stderr" ? cli.err : cli.out;
      for (const line of lines) out.write(`${await contexts.show(line)}\n`);
    }
  }
}
