import { describe, expect, test } from "vitest";
import { goTime, humanDuration, parseGoDurationMs, parseWhen } from "./times.js";

describe("a time is written as Go writes it", () => {
  const cases = [
    [0, "0001-01-01T00:00:00Z"],
    [1_795_233_811_000, "2026-11-21T04:03:31Z"],
    [1_795_233_811_120, "2026-11-21T04:03:31.12Z"],
    [1_795_233_840_001, "2026-11-21T04:04:00.001Z"],
  ] as const;
  for (const [ms, text] of cases) test(text, () => expect(goTime(ms)).toBe(text));
});

describe("a moment is read", () => {
  const nowMs = 1_795_233_811_000;
  const cases = [
    ["", undefined],
    ["1795233811", 1_795_233_811_000_000_000n],
    ["1795233811.000000021", 1_795_233_811_000_000_021n],
    ["1795233811.5", 1_795_233_811_500_000_000n],
    ["10m", 1_795_233_211_000_000_000n],
    ["0s", 1_795_233_811_000_000_000n],
    ["2026-11-21T04:03:31Z", 1_795_233_811_000_000_000n],
  ] as const;
  for (const [text, ns] of cases) {
    test(text === "" ? "absent" : text, () => expect(parseWhen(text, nowMs, "since")).toBe(ns));
  }
  test("and refused when it is none", () => {
    expect(() => parseWhen("yesterday", nowMs, "since")).toThrow("invalid since 'yesterday'");
  });
});

describe("a Go duration is read", () => {
  const cases = [
    ["1h30m", 5_400_000],
    ["1.5s", 1_500],
    ["10", undefined],
    ["", undefined],
    ["3 s", undefined],
  ] as const;
  for (const [text, ms] of cases) test(`"${text}"`, () => expect(parseGoDurationMs(text)).toBe(ms));
});

describe("a duration is said as docker ps says it", () => {
  const cases = [
    [0, "Less than a second"],
    [1_999, "1 second"],
    [59_000, "59 seconds"],
    [60_000, "About a minute"],
    [46 * 60_000, "46 minutes"],
    [3_600_000, "About an hour"],
    [47 * 3_600_000, "47 hours"],
    [3 * 86_400_000, "3 days"],
    [21 * 86_400_000, "3 weeks"],
    [100 * 86_400_000, "3 months"],
    [800 * 86_400_000, "2 years"],
  ] as const;
  for (const [ms, text] of cases) test(text, () => expect(humanDuration(ms)).toBe(text));
});
