import { expect, test } from "vitest";
import { nextRoleStep, type RoleFacts, type RoleStep } from "./role-step.js";

const PROCESS = ["absent", "idle", "resuming", "locked", "running", "failed", "removed"] as const;
type Process = RoleFacts["process"];

/** What each step makes true, in a world where nothing fails. */
function after(facts: RoleFacts, step: RoleStep): RoleFacts {
  switch (step) {
    case "renew-certificate":
      return { ...facts, certificate: facts.wanted ?? facts.certificate };
    case "start-process":
      return { ...facts, process: "idle" };
    case "join-group":
      return { ...facts, process: "running" };
    case "leave-group":
      return { ...facts, process: "removed" };
    case "wipe-process":
      return { ...facts, process: "absent" };
    case "nothing":
      return facts;
  }
}

for (const wanted of ["manager", "worker"] as const) {
  for (const certificate of ["manager", "worker"] as const) {
    for (const process of PROCESS) {
      test(`${certificate} with ${process} process becomes ${wanted}, and then rests`, () => {
        let facts: RoleFacts = { wanted, certificate, process: process as Process };
        for (let i = 0; i < 6; i++) facts = after(facts, nextRoleStep(facts));
        expect(nextRoleStep(facts)).toBe("nothing");
        expect(facts.certificate === wanted || process === "resuming").toBe(true);
        if (wanted === "worker" && process !== "resuming") expect(facts.process).toBe("absent");
        if (wanted === "manager")
          expect(["absent", "idle", "removed"]).not.toContain(facts.process);
      });
    }
  }
}

test("a manager that was restarted alone starts its process and nothing more", () => {
  const facts: RoleFacts = { wanted: undefined, certificate: "manager", process: "absent" };
  expect(nextRoleStep(facts)).toBe("start-process");
  expect(nextRoleStep({ ...facts, process: "idle" })).toBe("nothing");
  expect(nextRoleStep({ ...facts, certificate: "worker" })).toBe("nothing");
});
