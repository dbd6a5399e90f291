// What Docker's page of a node does not have; the page itself is compared with docker's (docker.test.ts).
import { expect, test } from "vitest";
import { prettyNode } from "./node-pretty.js";

const node = { ID: "a8l", Status: { State: "ready", Addr: "192.168.33.11" } };

for (const [skewMs, words] of [
  [0, "as the leader's"],
  [240, "240 ms ahead of the leader's"],
  [-600_000, "600.0 s behind the leader's"],
] as const) {
  test(`its clock is ${words}`, () => {
    expect(prettyNode({ ...node, ClockSkewMs: skewMs })).toMatch(
      new RegExp(`\\n Address:\\t+192\\.168\\.33\\.11\\n Clock:\\t+${words}\\nPlatform:`),
    );
  });
}

test("it came back with a certificate that was over", () => {
  const ExpiredRenewal = { ExpiredAt: "2026-11-01T00:00:00Z", RenewedAt: "2026-11-22T04:05:06Z" };
  expect(prettyNode({ ...node, ExpiredRenewal })).toMatch(
    /\n Certificate:\t+renewed at 2026-11-22 04:05:06 .*, after it was over at 2026-11-01 00:00:00 /,
  );
});

test("of neither anything is said when nothing is known", () => {
  expect(prettyNode(node)).not.toMatch(/Clock|Certificate/);
});
