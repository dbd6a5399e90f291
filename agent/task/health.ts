// Whether a running container is well, from what its probes have answered: dockerd's rules (daemon/health.go).
import type { Health, HealthCheck } from "../seams.js";

// dockerd's defaults; 0 in a check means them.
const INTERVAL_MS = 30_000;
const TIMEOUT_MS = 30_000;
const START_INTERVAL_MS = 5_000;
const RETRIES = 3;
const KEPT_RESULTS = 5;
/** Of one probe's output (dockerd's maxOutputLen). */
export const PROBE_OUTPUT_BYTES_MAX = 4_096;

export type ProbeRun = Health["log"][number];

export const NEW_HEALTH: Health = { status: "starting", failingStreak: 0, log: [] };

/** A check that looks at something: ["NONE"] and an empty one do not. */
export function isChecked(check: HealthCheck | null | undefined): check is HealthCheck {
  const kind = check?.test[0];
  return kind !== undefined && kind !== "" && kind !== "NONE";
}

/** The command that a probe runs. */
export function probeCommand(check: HealthCheck): readonly string[] {
  const [kind = "", ...words] = check.test;
  return kind === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : words;
}

export function afterProbe(
  health: Health,
  check: HealthCheck,
  run: ProbeRun,
  startedAtMs: number,
): Health {
  const log = [...health.log, run].slice(-KEPT_RESULTS);
  if (run.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  // What fails while it is still starting says nothing yet.
  const excused =
    health.status === "starting" && run.startMs - startedAtMs < (check.startPeriodMs || 0);
  if (excused) return { ...health, log };
  const failingStreak = health.failingStreak + 1;
  const isIll = failingStreak >= (check.retries || RETRIES);
  return { status: isIll ? "unhealthy" : health.status, failingStreak, log };
}

/** From the end of one probe (or the start of the container) to the next. */
export function nextProbeMs(health: Health, check: HealthCheck, ranMs: number): number {
  const isStarting = health.status === "starting" && ranMs < (check.startPeriodMs || 0);
  return isStarting ? check.startIntervalMs || START_INTERVAL_MS : check.intervalMs || INTERVAL_MS;
}

export function probeTimeoutMs(check: HealthCheck): number {
  return check.timeoutMs || TIMEOUT_MS;
}
