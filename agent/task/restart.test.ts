import { describe, expect, test } from "vitest";
import { nextPauseMs, restartsAfterExit, restartsAtStart } from "./restart.js";

const no = { name: "no", maximumRetries: 0 } as const;
const always = { name: "always", maximumRetries: 0 } as const;
const unless = { name: "unless-stopped", maximumRetries: 0 } as const;
const failure = { name: "on-failure", maximumRetries: 0 } as const;
const twice = { name: "on-failure", maximumRetries: 2 } as const;

describe("started again", () => {
  const cases = [
    { rule: no, exitCode: 1, restartCount: 0, stopped: false, after: false, atStart: false },
    { rule: always, exitCode: 0, restartCount: 9, stopped: false, after: true, atStart: true },
    { rule: always, exitCode: 0, restartCount: 0, stopped: true, after: false, atStart: true },
    { rule: unless, exitCode: 0, restartCount: 0, stopped: false, after: true, atStart: true },
    { rule: unless, exitCode: 0, restartCount: 0, stopped: true, after: false, atStart: false },
    { rule: failure, exitCode: 0, restartCount: 0, stopped: false, after: false, atStart: false },
    { rule: failure, exitCode: 1, restartCount: 99, stopped: false, after: true, atStart: true },
    { rule: twice, exitCode: 1, restartCount: 1, stopped: false, after: true, atStart: true },
    { rule: twice, exitCode: 1, restartCount: 2, stopped: false, after: false, atStart: false },
    { rule: twice, exitCode: 1, restartCount: 0, stopped: true, after: false, atStart: false },
  ];
  test.each(cases)(
    "$rule.name:$rule.maximumRetries after $exitCode, $restartCount times, stopped $stopped",
    ({ rule, after, atStart, ...ended }) => {
      expect(restartsAfterExit(rule, ended)).toBe(after);
      expect(restartsAtStart(rule, ended)).toBe(atStart);
    },
  );
});

test("the pause doubles to a minute, and begins anew after a long life", () => {
  const pauses: number[] = [];
  for (let i = 0; i < 12; i++) pauses.push(nextPauseMs(pauses.at(-1) ?? 0, 50));
  expect(pauses.slice(0, 4)).toEqual([100, 200, 400, 800]);
  expect(pauses.at(-1)).toBe(60_000);
  expect(nextPauseMs(60_000, 10_000)).toBe(100);
});
