import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContainerSpec } from "../seams.js";
import { EMPTY_SPEC } from "./container-spec.js";
import {
  advance,
  allowed,
  compareAge,
  newRecord,
  type Step,
  stateOf,
  toContainer,
} from "./life.js";

const SPEC: ContainerSpec = { ...EMPTY_SPEC, name: "web", runtime: "process", command: ["true"] };
const NOTHING = { sandboxPath: "/sb", restarting: false, health: undefined };

const STEPS: Record<string, Step> = {
  prepare: { kind: "prepare", endpoints: [] },
  launch: { kind: "launch" },
  ran: { kind: "ran", pid: 7, atMs: 20 },
  ended: { kind: "ended", exitCode: 3, error: "", atMs: 30 },
  released: { kind: "released" },
  rename: { kind: "rename", name: "db" },
  trouble: { kind: "trouble", error: "cut off" },
  remove: { kind: "remove" },
};

function lived(...kinds: readonly string[]) {
  return kinds.reduce(
    (record, kind) => {
      const step = STEPS[kind];
      if (step === undefined) throw new Error(kind);
      return advance(record, step);
    },
    newRecord("c1", SPEC, 10),
  );
}

describe("what a container shows", () => {
  const cases = [
    { steps: [], state: "created", pid: 0, exitCode: 0 },
    { steps: ["prepare"], state: "created", pid: 0, exitCode: 0 },
    { steps: ["prepare", "ended"], state: "created", pid: 0, exitCode: 3 },
    { steps: ["prepare", "launch", "ran"], state: "running", pid: 7, exitCode: 0 },
    { steps: ["prepare", "launch", "ran", "ended"], state: "exited", pid: 0, exitCode: 3 },
    {
      steps: ["prepare", "launch", "ran", "ended", "prepare"],
      state: "exited",
      pid: 0,
      exitCode: 3,
    },
    {
      steps: ["prepare", "launch", "ran", "ended", "prepare", "launch", "ran"],
      state: "running",
      pid: 7,
      exitCode: 0,
    },
    {
      steps: ["prepare", "launch", "ran", "ended", "remove"],
      state: "removing",
      pid: 0,
      exitCode: 3,
    },
  ];
  for (const { steps, ...shown } of cases) {
    test(`after ${steps.join(", ") || "its creation"} it is ${shown.state}`, () => {
      expect(toContainer(lived(...steps), NOTHING)).toMatchObject(shown);
    });
  }

  test("what failed to start has no time of finishing", () => {
    expect(lived("prepare", "launch", "ended").finishedAtMs).toBe(0);
    expect(lived("prepare", "launch", "ran", "ended").finishedAtMs).toBe(30);
  });
});

describe("what is a bug", () => {
  const cases = [
    ["launch"],
    ["ran"],
    ["ended"],
    ["prepare", "prepare"],
    ["prepare", "remove"],
    ["prepare", "launch", "ran", "remove"],
    ["remove", "prepare"],
    ["remove", "rename"],
  ];
  for (const steps of cases) {
    test(steps.join(", "), () => {
      expect(() => lived(...steps)).toThrow("invariant violated");
    });
  }
});

test("states only grow, whatever happens", () => {
  const anyStep = fc.constantFrom(...Object.values(STEPS));
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      let record = newRecord("c1", SPEC, 10);
      for (const step of steps) {
        if (!allowed(record, step)) continue;
        const next = advance(record, step);
        expect(compareAge(next, record)).toBeGreaterThanOrEqual(0);
        expect(next.life - record.life).toBe(step.kind === "prepare" ? 1 : 0);
        // Only what runs has a process.
        expect(next.pid !== 0).toBe(stateOf(next) === "running");
        record = next;
      }
    }),
  );
});
