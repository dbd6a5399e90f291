import { expect, test } from "vitest";
import type { Clock } from "../../common/clock.js";
import { Findings } from "./findings.js";

const finding = (subject: string, what = subject) => ({ subject, what, where: "h1", remedy: "" });

test("what is said again keeps its beginning, what is not is over", () => {
  let nowMs = 1000;
  const findings = new Findings({ nowMs: () => nowMs } as Clock);
  findings.report("mtu", [finding("a"), finding("b")]);
  findings.report("port", [finding("a")]);
  nowMs = 2000;
  findings.report("mtu", [finding("b", "worse"), finding("c")]);
  expect(findings.list().map(({ what, sinceMs }) => [what, sinceMs])).toEqual([
    ["worse", 1000],
    ["c", 2000],
    ["a", 1000],
  ]);
  findings.report("mtu", []);
  nowMs = 3000;
  findings.report("mtu", [finding("b")]);
  expect(findings.list().map(({ sinceMs }) => sinceMs)).toEqual([3000, 1000]);
});
