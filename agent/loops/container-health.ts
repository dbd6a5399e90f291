// Looks from time to time whether a running container is well, by a command in it.
import type { Duplex } from "node:stream";
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import type { Random } from "../../common/random.js";
import type { HealthCheck } from "../seams.js";
import {
  afterProbe,
  NEW_HEALTH,
  nextProbeMs,
  PROBE_OUTPUT_BYTES_MAX,
  type ProbeRun,
  probeCommand,
  probeTimeoutMs,
} from "../task/health.js";
import type { Supervised } from "../task/runtime.js";
import { FrameDecoder } from "../task/stdio-frame.js";
import type { ContainerEntry } from "./container-entry.js";

export interface HealthTools {
  readonly clock: Clock;
  readonly random: Random;
  /** The status is another than before. */
  readonly onChange: (entry: ContainerEntry) => void;
}

/** Until `over`: the end of the container, or of the agent. */
export async function watchHealth(
  entry: ContainerEntry,
  supervised: Supervised,
  check: HealthCheck,
  tools: HealthTools,
  over: AbortSignal,
): Promise<void> {
  const { clock } = tools;
  entry.health = NEW_HEALTH;
  const startedAtMs = entry.record.startedAtMs;
  while (!over.aborted) {
    const health = entry.health;
    const pauseMs = nextProbeMs(health, check, clock.nowMs() - startedAtMs);
    await clock.sleep(pauseMs, over).catch(() => undefined);
    if (over.aborted) return;
    if (entry.record.paused) continue;
    const run = await probe(entry, supervised, check, tools, over);
    if (over.aborted) return;
    entry.health = afterProbe(health, check, run, startedAtMs);
    if (entry.health.status !== health.status) tools.onChange(entry);
  }
}

async function probe(
  { record }: ContainerEntry,
  supervised: Supervised,
  check: HealthCheck,
  { clock, random }: HealthTools,
  over: AbortSignal,
): Promise<ProbeRun> {
  const startMs = clock.nowMs();
  const result = (exitCode: number, output: string): ProbeRun => ({
    startMs,
    endMs: clock.nowMs(),
    exitCode,
    output,
  });
  const { spec } = record;
  try {
    const started = await supervised.exec(newLocalId(random), {
      command: probeCommand(check),
      env: [],
      workingDir: spec.workingDir,
      user: spec.user,
      tty: false,
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
    });
    if (started.kind === "failed") return result(started.exitCode, started.message);
    const { stream, exited } = started.exec;
    const said = new Said(stream);
    stream.end();
    const timeoutMs = probeTimeoutMs(check);
    const timer = new AbortController();
    const late = clock
      .sleep(timeoutMs, AbortSignal.any([timer.signal, over]))
      .then(() => undefined)
      .catch(() => undefined);
    const exitCode = await Promise.race([said.end.then(() => exited), late]);
    timer.abort();
    // It hangs up.
    stream.destroy();
    if (exitCode !== undefined) return result(exitCode, said.text());
    const seconds = timeoutMs / 1000;
    return result(-1, `Health check exceeded timeout (${seconds}s): ${said.text()}`.trim());
  } catch (error) {
    return result(-1, messageOf(error));
  }
}

/** The first 4 KiB of both outputs, in the order in which they came. */
class Said {
  readonly end: Promise<void>;
  readonly #decoder = new FrameDecoder();
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(stream: Duplex) {
    stream.on("data", (chunk: Buffer) => {
      for (const { payload } of this.#decoder.push(chunk) ?? []) {
        if (this.#bytes >= PROBE_OUTPUT_BYTES_MAX) continue;
        this.#parts.push(payload);
        this.#bytes += payload.length;
      }
    });
    stream.on("error", () => undefined);
    this.end = new Promise((resolve) => {
      stream.once("end", resolve);
      stream.once("close", resolve);
    });
  }

  text(): string {
    return Buffer.concat(this.#parts).subarray(0, PROBE_OUTPUT_BYTES_MAX).toString();
  }
}
