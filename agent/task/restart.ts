// Whether a container that has ended is started again, and when: dockerd's restart manager.
import type { RestartRule } from "../seams.js";

// dockerd (restartmanager): the first pause, the longest, and how long a life must be to begin anew.
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 60_000;
const LONG_LIFE_MS = 10_000;

export interface Ended {
  readonly exitCode: number;
  /** How often it was started again by this rule since a person started it. */
  readonly restartCount: number;
  /** A person stopped it. */
  readonly stopped: boolean;
}

/** After an exit, while this agent runs. */
export function restartsAfterExit(rule: RestartRule, ended: Ended): boolean {
  return !ended.stopped && wants(rule, ended);
}

/** When an agent starts and finds it ended: "always" means also what a person stopped, as in Docker. */
export function restartsAtStart(rule: RestartRule, ended: Ended): boolean {
  if (rule.name === "always") return true;
  return !ended.stopped && wants(rule, ended);
}

/** The pause before the next start; `pauseMs` is the one before, 0 when there was none. */
export function nextPauseMs(pauseMs: number, ranMs: number): number {
  if (pauseMs === 0 || ranMs >= LONG_LIFE_MS) return FIRST_PAUSE_MS;
  return Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
}

function wants(rule: RestartRule, { exitCode, restartCount }: Ended): boolean {
  switch (rule.name) {
    case "no":
      return false;
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return exitCode !== 0 && (rule.maximumRetries === 0 || restartCount < rule.maximumRetries);
  }
}
