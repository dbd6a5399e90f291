// What of a container flows: its log, and its input and output to whoever is attached.
import { Duplex, type Readable } from "node:stream";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { LogOptions } from "../seams.js";
import type { Supervised } from "../task/runtime.js";
import type { ContainerEntry } from "./container-entry.js";
import { type Runtimes, runtimeOf } from "./container-start.js";
import { ATTACHED_MAX, LOG_READERS_MAX, tooMany } from "./containers-limits.js";
import { LateStream } from "./late-stream.js";

export class ContainerStreams {
  constructor(private readonly runtimes: Runtimes) {}

  logs(entry: ContainerEntry, options: LogOptions, signal: AbortSignal): Readable | Refusal {
    if (entry.logReaderCount >= LOG_READERS_MAX) {
      return tooMany("readers of this log", LOG_READERS_MAX);
    }
    const { id, spec } = entry.record;
    if (spec.log.driver === "none") {
      return refuse("unimplemented", "configured logging driver does not support reading");
    }
    const runtime = runtimeOf(spec, this.runtimes);
    if (isRefusal(runtime)) return runtime;
    entry.logReaderCount++;
    const all = { ...options, tty: spec.tty, ended: entry.over.signal };
    const stream = runtime.readLogs(id, all, signal);
    stream.once("close", () => {
      entry.logReaderCount--;
    });
    return stream;
  }

  attach(
    entry: ContainerEntry,
    options: { readonly stdin: boolean; readonly logs: boolean },
  ): Duplex | Refusal {
    if (entry.attachedCount >= ATTACHED_MAX) {
      return tooMany("connections attached to this container", ATTACHED_MAX);
    }
    const { openStdin, stdinOnce } = entry.record.spec;
    const stream = new LateStream(!stdinOnce);
    entry.attachedCount++;
    stream.once("close", () => {
      entry.attachedCount--;
      entry.early.delete(stream);
    });
    const stdin = options.stdin && openStdin;
    if (entry.supervised === undefined) entry.early.set(stream, { stdin });
    else void this.attachNow(entry, entry.supervised, stream, stdin, options.logs);
    return stream;
  }

  async attachNow(
    entry: ContainerEntry,
    supervised: Supervised,
    stream: LateStream,
    stdin: boolean,
    logs: boolean,
  ): Promise<void> {
    try {
      const live = await supervised.attach({ stdin });
      stream.become(logs ? this.#withPast(entry, live) : live);
    } catch {
      // It ended in this moment.
      stream.giveUp();
    }
  }

  /** Input as it is; output from the log, from its beginning and on, so that nothing is missed or said twice. */
  #withPast(entry: ContainerEntry, live: Duplex): Duplex {
    const { id, spec } = entry.record;
    const runtime = runtimeOf(spec, this.runtimes);
    if (isRefusal(runtime) || spec.log.driver === "none") return live;
    const gone = new AbortController();
    const everything = { stdout: true, stderr: true, timestamps: false, sinceMs: 0, untilMs: 0 };
    const options = { ...everything, follow: true, tail: undefined, tty: spec.tty };
    const ended = entry.over.signal;
    const past = runtime.readLogs(id, { ...options, ended }, gone.signal);
    live.resume();
    live.once("close", () => gone.abort());
    past.once("end", () => live.destroy());
    return Duplex.from({ readable: past, writable: live });
  }
}
