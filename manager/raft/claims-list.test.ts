// docs/raft-claims.md says which test shows which claim; a list that nobody compares goes stale.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

describe("docs/raft-claims.md", () => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const files: Readonly<Record<string, string>> = {
    claims: read("manager/raft/claims.test.ts"),
    raft: read("manager/raft/raft.test.ts"),
    removals: read("manager/raft/removals.test.ts"),
    reads: read("manager/loops/consensus.test.ts"),
    sim: read("test/sim/raft-sim.test.ts"),
  };
  const rows = [...read("docs/raft-claims.md").matchAll(/^\|.*\| `(\w+)` (.*) \|$/gm)];

  test("names tests that there are", () => {
    expect(rows.length).toBeGreaterThan(40);
    const wrong = rows.filter(([, file = "", title = ""]) => !files[file]?.includes(title));
    expect(wrong.map(([row]) => row)).toEqual([]);
  });

  test("names every test of claims.test.ts", () => {
    const titles = [...read("manager/raft/claims.test.ts").matchAll(/^ +test\("(.*§.*)", /gm)];
    const named = rows.map(([, , title]) => title);
    expect(titles.length).toBeGreaterThan(20);
    expect(titles.map(([, title]) => title).filter((title) => !named.includes(title))).toEqual([]);
  });
});
