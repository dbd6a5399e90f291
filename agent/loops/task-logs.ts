// `service logs`: reads the logs of tasks that a manager asks for, and publishes them until it wants no
// more. A reader waits when the manager is slow; nothing is dropped.
import type { Readable } from "node:stream";
import { Fault, isRefusal, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import { firstTold, Signal } from "../../common/watch.js";
import { type LogMessage, LogStream } from "../../proto/gen/control.js";
import type { LogBatch, LogSubscription } from "../../proto/gen/dispatcher.js";
import { TaskState } from "../../proto/gen/service.js";
import type { Containers, LogOptions } from "../seams.js";
import { LogLines } from "../task/log-lines.js";
import type { TaskLoop } from "./tasks.js";

// Choices: as many readers as people, dashboards and log shippers of a small team need together.
const SUBSCRIPTIONS_MAX = 32;
const READERS_MAX = 512;
const BATCH_MESSAGES_MAX = 1_000;
const BATCH_BYTES_MAX = 256 * 1024;

export type Publish = (batches: AsyncIterable<LogBatch>, signal: AbortSignal) => Promise<void>;

export interface TaskLogTools {
  readonly containers: Pick<Containers, "get" | "logs">;
  readonly tasks: Pick<TaskLoop, "containerOf" | "reports" | "source">;
  readonly log: Logger;
}

export class TaskLogs {
  readonly #subscriptions = new Map<number, Subscription>();

  constructor(private readonly tools: TaskLogTools) {}

  /** `session` ends with the session that it came by: the next leader asks anew. */
  subscribe(asked: LogSubscription, publish: Publish, session: AbortSignal): void {
    const { subscriptionId: id, taskIds } = asked;
    const known = this.#subscriptions.get(id);
    // A leader before may have used the same number.
    if (known !== undefined && !known.signal.aborted) {
      known.add(taskIds);
      return;
    }
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX) {
      this.tools.log.warn(
        { limit: SUBSCRIPTIONS_MAX },
        "too many readers of logs: one is turned away",
      );
      return;
    }
    const subscription = new Subscription(asked, this.tools, session);
    this.#subscriptions.set(id, subscription);
    subscription.add(taskIds);
    publish(subscription.batches(), subscription.signal)
      .catch((error: unknown) => {
        this.tools.log.debug({ err: messageOf(error) }, "logs not published");
      })
      .finally(() => {
        subscription.close();
        if (this.#subscriptions.get(id) === subscription) this.#subscriptions.delete(id);
      });
  }

  closed(subscriptionId: number): void {
    this.#subscriptions.get(subscriptionId)?.close();
  }

  close(): void {
    for (const subscription of this.#subscriptions.values()) subscription.close();
  }
}

class Subscription {
  readonly signal: AbortSignal;
  readonly #closed = new AbortController();
  readonly #tasks = new Set<string>();
  readonly #queue: LogMessage[] = [];
  #queuedBytes = 0;
  #readers = 0;
  readonly #filled = new Signal();
  /** Readers that wait for room. */
  readonly #blocked = new Set<() => void>();

  constructor(
    private readonly asked: LogSubscription,
    private readonly tools: TaskLogTools,
    session: AbortSignal,
  ) {
    this.signal = AbortSignal.any([this.#closed.signal, session]);
  }

  add(taskIds: readonly string[]): void {
    for (const id of taskIds) {
      if (this.#tasks.has(id) || this.#tasks.size >= READERS_MAX) continue;
      this.#tasks.add(id);
      this.#readers++;
      this.#read(id)
        .catch((error: unknown) => {
          if (this.signal.aborted) return;
          this.tools.log.debug({ task: id, err: messageOf(error) }, "log not read");
        })
        .finally(() => {
          this.#readers--;
          this.#filled.notify();
        });
    }
  }

  close(): void {
    this.#closed.abort(new Fault("LOGS_CLOSED"));
  }

  async *batches(): AsyncGenerator<LogBatch> {
    const { subscriptionId } = this.asked;
    // Says whose stream this is, should there be nothing to send.
    yield { subscriptionId, messages: [], last: false };
    while (!this.signal.aborted) {
      if (this.#queue.length > 0) {
        const messages = this.#queue.splice(0);
        this.#queuedBytes = 0;
        for (const go of [...this.#blocked]) go();
        yield { subscriptionId, messages, last: false };
        continue;
      }
      // With `follow`, tasks that come later are named under the same id.
      if (this.#readers === 0 && this.asked.options?.follow !== true) {
        yield { subscriptionId, messages: [], last: true };
        return;
      }
      await this.#filled.wait(this.signal).catch(() => {});
    }
  }

  async #read(taskId: string): Promise<void> {
    const { containers, log } = this.tools;
    const { follow } = optionsOf(this.asked);
    const found = await this.#containerOf(taskId, follow);
    if (found === undefined) return;
    const { containerId, waited } = found;
    // Of a task that begins while somebody follows nothing lies behind: all of it is news.
    const options = { ...optionsOf(this.asked), ...(waited && { tail: undefined }) };
    const container = containers.get(containerId);
    if (isRefusal(container)) return;
    const stream = containers.logs(containerId, options, this.signal);
    if (isRefusal(stream)) {
      log.warn({ task: taskId, err: stream.message }, "log not read");
      return;
    }
    const source = this.tools.tasks.source;
    const labels = container.spec.labels;
    const about = {
      serviceId: labels["com.docker.swarm.service.id"] ?? "",
      taskId,
      nodeId: source?.node.id ?? "",
    };
    const lines = new LogLines(container.spec.tty);
    const give = async (pieces: ReturnType<LogLines["end"]>) => {
      for (const { timeNs, stream: from, data } of pieces) {
        const stream = from === "stderr" ? LogStream.STDERR : LogStream.STDOUT;
        await this.#put({ ...about, timeNs, stream, data });
      }
    };
    for await (const chunk of chunksOf(stream, this.signal)) {
      const pieces = lines.push(chunk);
      if (pieces === undefined) return;
      await give(pieces);
    }
    await give(lines.end());
  }

  async #put(message: LogMessage): Promise<void> {
    while (
      !this.signal.aborted &&
      (this.#queue.length >= BATCH_MESSAGES_MAX || this.#queuedBytes >= BATCH_BYTES_MAX)
    ) {
      await firstTold<void>((go) => {
        this.#blocked.add(go);
        return () => void this.#blocked.delete(go);
      }, this.signal);
    }
    this.signal.throwIfAborted();
    this.#queue.push(message);
    this.#queuedBytes += message.data.length;
    this.#filled.notify();
  }

  /** Who follows waits until it has begun; who does not gets what there is. */
  async #containerOf(
    taskId: string,
    follow: boolean,
  ): Promise<{ readonly containerId: string; readonly waited: boolean } | undefined> {
    const { containers, tasks } = this.tools;
    for (let waited = false; ; waited = true) {
      const containerId = tasks.containerOf(taskId) ?? "";
      const container = containerId === "" ? undefined : containers.get(containerId);
      if (container !== undefined && !isRefusal(container) && container.startedAtMs > 0) {
        return { containerId, waited };
      }
      const state = tasks.reports.status(taskId)?.state ?? TaskState.NEW;
      if (!follow || state >= TaskState.COMPLETE) return undefined;
      await this.#changeOf(taskId);
    }
  }

  #changeOf(taskId: string): Promise<void> {
    const { changed } = this.tools.tasks.reports;
    const ofTask = (tell: () => void) =>
      changed.subscribe((id) => {
        if (id === taskId) tell();
      });
    return firstTold<void>(ofTask, this.signal);
  }
}

function optionsOf({ options }: LogSubscription): LogOptions {
  return {
    stdout: options?.stdout ?? true,
    stderr: options?.stderr ?? true,
    follow: options?.follow ?? false,
    timestamps: true,
    tail: options?.tail,
    sinceMs: options?.sinceMs ?? 0,
    untilMs: options?.untilMs ?? 0,
  };
}

async function* chunksOf(stream: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  const end = () => stream.destroy();
  signal.addEventListener("abort", end, { once: true });
  try {
    for await (const chunk of stream) yield Buffer.from(chunk);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", end);
    stream.destroy();
  }
}
