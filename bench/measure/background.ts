// Programs that run in a network namespace while something is measured. Each is ended by its own process id, and waited for.
import { type ChildProcess, spawn } from "node:child_process";

export interface Background {
  readonly pid: number;
  /** What it has written so far, on both streams. */
  output(): string;
  /** Resolves when it has ended, of itself or by `stop`. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** `netns`: a network namespace's file. nsenter becomes the program, so that the process id is the program's. */
export function background(netns: string, words: readonly string[], cwd = "/"): Background {
  const child: ChildProcess = spawn("nsenter", [`--net=${netns}`, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(late);
  };
  return { pid: child.pid ?? 0, output: () => output, ended, stop };
}

// Choice: whoever has not ended on request by then is ended.
const STOP_MS = 3_000;

/** True when `holds` did within the time. */
export async function within(ms: number, holds: () => boolean): Promise<boolean> {
  const untilMs = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > untilMs) return false;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  return true;
}
