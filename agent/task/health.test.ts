import { describe, expect, test } from "vitest";
import type { Health, HealthCheck } from "../seams.js";
import { afterProbe, isChecked, NEW_HEALTH, nextProbeMs, probeCommand } from "./health.js";

const CHECK: HealthCheck = {
  test: ["CMD", "ok"],
  intervalMs: 0,
  timeoutMs: 0,
  retries: 0,
  startPeriodMs: 0,
  startIntervalMs: 0,
};

function probed(exitCodes: readonly number[], check = CHECK, from: Health = NEW_HEALTH): Health {
  return exitCodes.reduce((health, exitCode, i) => {
    const at = (i + 1) * 1_000;
    return afterProbe(health, check, { startMs: at, endMs: at, exitCode, output: "" }, 0);
  }, from);
}

describe("after probes that answer", () => {
  const patient = { ...CHECK, startPeriodMs: 3_500, retries: 1 };
  const cases = [
    { codes: [], check: CHECK, status: "starting", failingStreak: 0 },
    { codes: [0], check: CHECK, status: "healthy", failingStreak: 0 },
    { codes: [1, 1], check: CHECK, status: "starting", failingStreak: 2 },
    { codes: [1, 1, 1], check: CHECK, status: "unhealthy", failingStreak: 3 },
    { codes: [0, 1, 1], check: CHECK, status: "healthy", failingStreak: 2 },
    { codes: [0, 1, 1, 1, 0], check: CHECK, status: "healthy", failingStreak: 0 },
    { codes: [1, 1, 1], check: patient, status: "starting", failingStreak: 0 },
    { codes: [1, 1, 1, 1], check: patient, status: "unhealthy", failingStreak: 1 },
    { codes: [0, 1], check: patient, status: "unhealthy", failingStreak: 1 },
  ];
  test.each(cases)("$codes it is $status", ({ codes, check, ...want }) => {
    expect(probed(codes, check)).toMatchObject(want);
  });
  test("the last five are kept", () => {
    expect(probed([0, 1, 0, 1, 0, 1, 2]).log.map(({ exitCode }) => exitCode)).toEqual([
      0, 1, 0, 1, 2,
    ]);
  });
});

test("while it starts it is looked at more often", () => {
  const check = { ...CHECK, startPeriodMs: 1_000, startIntervalMs: 7, intervalMs: 70 };
  expect(nextProbeMs(NEW_HEALTH, check, 500)).toBe(7);
  expect(nextProbeMs(NEW_HEALTH, check, 1_000)).toBe(70);
  expect(nextProbeMs(probed([0]), check, 500)).toBe(70);
  expect(nextProbeMs(NEW_HEALTH, CHECK, 0)).toBe(30_000);
});

test("what is run", () => {
  expect(probeCommand({ ...CHECK, test: ["CMD-SHELL", "a || b"] })).toEqual([
    "/bin/sh",
    "-c",
    "a || b",
  ]);
  expect(probeCommand(CHECK)).toEqual(["ok"]);
  expect([null, undefined, { ...CHECK, test: ["NONE"] }].map(isChecked)).toEqual([
    false,
    false,
    false,
  ]);
});
