// GET /skein/v1/raft: what one manager believes, and, asked for all, what they say and what that comes to.
import { expect, test } from "vitest";
import { AdminStatus, ManagerReport } from "../../proto/gen/admin.js";
import { RaftReport } from "../../proto/gen/raft.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import type { Call } from "./call.js";
import { raft } from "./raft.js";

const members = [1, 2].map((raftId) => {
  return { raftId, nodeId: `n${raftId}`, addr: `10.0.0.${raftId}:2377`, learner: false };
});
const running = { state: "running", raftId: 1, term: 3, leaderNodeId: "n1", members };

async function asked(
  status: Partial<AdminStatus>,
  { search = "all=1", reports = [] as ManagerReport[], error = "" } = {},
): Promise<unknown> {
  const membership = {
    control: () => ({}),
    status: () => ({ error }),
    managerStatus: async () => AdminStatus.fromPartial(status),
    managerReports: async () => reports,
  };
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const query = new URLSearchParams(search);
  const done = raft({ node: { membership }, clock, signal, query } as unknown as Call);
  // One that starts is waited for.
  await clock.advance(5_000);
  const answer = await done;
  return answer.kind === "json" ? answer.value : answer;
}

/** As bytes from the wire. */
function report(index: number, said: Parameters<typeof RaftReport.fromPartial>[0] | string) {
  const member = members[index];
  const text = typeof said === "string";
  const whole = text ? { error: said } : { report: RaftReport.fromPartial(said) };
  return ManagerReport.fromPartial({
    ...(member && { member }),
    hostname: `h${index + 1}`,
    ...whole,
  });
}

test("asked for no more, it is this manager's own belief, and nobody is asked", async () => {
  const belief = await asked(running, { search: "" });
  expect(belief).toMatchObject({ State: "running", LeaderNodeID: "n1", Term: 3 });
  expect(belief).not.toHaveProperty("Summary");
});

test("of all: each by its own word, a silent one by the leader's", async () => {
  const progress = [{ raftId: 2, match: 15, lag: 2, diskUs: 900, reachable: false }];
  const disk = { wroteMs: 400, writeUs: 1_500, medianUs: 1_200, full: false };
  const leader = { raftId: 1, role: "leader", term: 4, lastIndex: 17, progress, disk };
  const reports = [report(0, leader), report(1, "connection refused")];
  expect(await asked(running, { reports })).toMatchObject({
    Summary: expect.stringMatching(
      /^h1 leads, and 1 of 2 managers answer.*h2 \(connection refused\)/,
    ),
    Term: 4,
    Quorum: { Voters: 2, Needed: 2, Answering: 1 },
    Members: [
      { Hostname: "h1", Self: true, Leader: true, Match: 17, Lag: 0, LastWriteMicroseconds: 1_500 },
      { Hostname: "h2", Answers: false, Error: "connection refused", Match: 15, Lag: 2 },
    ],
  });
});

test("the leader that is found is named, though this manager does not hear it", async () => {
  const reports = [report(0, { raftId: 1 }), report(1, { raftId: 2, role: "leader" })];
  const found = await asked({ ...running, leaderNodeId: "" }, { reports });
  expect(found).toMatchObject({
    LeaderNodeID: "n2",
    Members: [{ Leader: false }, { Leader: true }],
  });
});

for (const [status, error, summary] of [
  [{ state: "failed", message: "its log is damaged" }, "", /does not run: its log is damaged$/],
  [{ state: "resuming", message: "the port is taken" }, "", /is starting: the port is taken$/],
  [{ state: "resuming" }, "", /is starting\.$/],
  [{ state: "idle" }, "node n1 was removed", /no seat among the managers: node n1 was removed$/],
  [{ state: "removed" }, "", /taken this one's seat away\.$/],
] as const) {
  test(`a manager that has no group says why: ${summary.source}`, async () => {
    const said = await asked(status, { error });
    expect(said).toMatchObject({ Summary: expect.stringMatching(summary), Members: [] });
  });
}
