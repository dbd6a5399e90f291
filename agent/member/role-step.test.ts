import { expect, test } from "vitest";
import { nextRoleStep, type RoleFacts, type RoleStep } from "./role-step.js";

const PROCESS = ["absent", "idle", "resuming", "locked", "running", "failed", "removed"] as const;
const SEAT = 4;
const NEW_SEAT = 5;

/** What each step makes true, in a world where nothing fails and the leader takes seats away by what is wanted. */
function after(facts: RoleFacts, step: RoleStep): RoleFacts {
  const { news } = facts;
  if (news === undefined) return facts;
  switch (step) {
    case "renew-certificate":
      return { ...facts, certificate: news.wanted };
    case "start-process":
      return facts.leftover
        ? { ...facts, process: "running", raftId: SEAT }
        : { ...facts, process: "idle" };
    case "join-group":
      return {
        ...facts,
        process: "running",
        raftId: NEW_SEAT,
        news: { ...news, raftId: NEW_SEAT },
      };
    case "confirm-seat":
      return { ...facts, process: "removed", raftId: 0, leftover: false };
    case "leave-group":
    case "wipe-process":
      return { ...facts, process: "absent", raftId: 0, leftover: false };
    case "nothing":
      return news.wanted === "worker" ? { ...facts, news: { ...news, raftId: 0 } } : facts;
  }
  return facts;
}

for (const wanted of ["manager", "worker"] as const) {
  for (const certificate of ["manager", "worker"] as const) {
    for (const process of PROCESS) {
      for (const raftId of [0, SEAT, NEW_SEAT]) {
        test(`${certificate} with ${process} process, told of seat ${raftId}, becomes ${wanted}, and rests`, () => {
          const own = process === "running" ? SEAT : 0;
          const leftover = process !== "absent";
          const news = { wanted, raftId };
          let facts: RoleFacts = { news, certificate, process, raftId: own, leftover };
          for (let i = 0; i < 8; i++) facts = after(facts, nextRoleStep(facts));
          expect(nextRoleStep(facts)).toBe("nothing");
          expect(facts.certificate).toBe(wanted);
          if (wanted === "worker") expect(facts.process).toBe("absent");
          else expect(["absent", "idle", "removed"]).not.toContain(facts.process);
          if (facts.process === "running") expect(facts.raftId).toBe(facts.news?.raftId);
        });
      }
    }
  }
}

const base = { certificate: "manager", raftId: 0, leftover: true } as const;

test.each(["resuming", "failed", "unknown"] as const)(
  "a worker's %s process keeps its log while the store says that it votes, and is wiped once it does not",
  (process) => {
    const facts = (raftId: number): RoleFacts => ({
      ...base,
      process,
      news: { wanted: "worker", raftId },
    });
    expect(nextRoleStep(facts(SEAT))).toBe("nothing");
    expect(nextRoleStep(facts(0))).toBe("wipe-process");
  },
);

test("a manager that was restarted alone starts its process and nothing more", () => {
  const facts: RoleFacts = { ...base, news: undefined, process: "absent" };
  expect(nextRoleStep(facts)).toBe("start-process");
  expect(nextRoleStep({ ...facts, process: "idle" })).toBe("nothing");
  expect(nextRoleStep({ ...facts, certificate: "worker" })).toBe("nothing");
});
