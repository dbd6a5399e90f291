// Every manager is asked, and whoever does not answer costs two seconds and no more.
import { expect, test } from "vitest";
import { Fault, refuse } from "../../common/fault.js";
import { RaftReport } from "../../proto/gen/raft.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import type { Caller, LeaderLink } from "../seams.js";
import { Store } from "../store/store.js";
import { groupReports, linksOf, type ReportsOptions } from "./group-reports.js";

type Answering = (caller: Caller) => Promise<RaftReport>;

const said = (raftId: number, role = "follower") => RaftReport.fromPartial({ raftId, role });
const silence: Answering = ({ signal }) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Fault("RPC_CANCELLED", {}, signal.reason)));
  });

/** h1 is asked; `others` by raft id, how each answers. */
function world(others: Record<number, Answering>, believed = new Map<number, string>()) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const ids = [1, ...Object.keys(others).map(Number)];
  const members = ids.map((raftId) => {
    return { raftId, nodeId: `n${raftId}`, addr: `10.0.0.${raftId}:2377`, learner: false };
  });
  const link = (addr: string) => {
    asked.push(addr);
    const answer = others[Number(/(\d+):/.exec(addr)?.[1])] ?? silence;
    const report = (_: object, caller: Caller) => answer(caller);
    return { membership: { report } } as unknown as LeaderLink;
  };
  const options: ReportsOptions = {
    consensus: { status: () => ({ raftId: 1, members }) } as unknown as ReportsOptions["consensus"],
    store: new Store(),
    link,
    believed: () => believed,
    report: () => said(1),
    clock,
    timing: { dialMs: 4_000 },
  };
  return { clock, asked, reports: () => groupReports(options, new AbortController().signal) };
}

const errorsOf = (reports: readonly { readonly error: string }[]) =>
  reports.map(({ error }) => error);

test("whoever does not answer is not waited for longer than two seconds, and it is said why", async () => {
  const { clock, reports } = world({
    2: async () => said(2, "leader"),
    3: silence,
    4: async () => {
      throw new Fault("RPC_UNREACHABLE", { why: "connection refused" });
    },
    5: async () => {
      throw new Fault("RPC_FAILED", { code: "UNIMPLEMENTED", why: "unknown method" });
    },
    6: async () => refuse("permission-denied", "not a manager any more") as unknown as RaftReport,
    7: async () => said(9),
  });
  const done = reports();
  await settle();
  await clock.advance(2_000);
  const all = await done;
  expect(errorsOf(all)).toEqual([
    "",
    "",
    "no answer within 2 s",
    "connection refused",
    "its release cannot say",
    "not a manager any more",
    "another manager answers there",
  ]);
  expect(all.map(({ report }) => report?.raftId)).toEqual([1, 2, ...Array(5).fill(undefined)]);
});

test("when nobody leads, those who answered are asked again: the silent one was waited for meanwhile", async () => {
  let asked = 0;
  const { clock, reports } = world({
    2: async () => said(2, ++asked === 1 ? "candidate" : "leader"),
    3: silence,
  });
  const done = reports();
  await settle();
  await clock.advance(2_000);
  expect((await done).map(({ report }) => report?.role)).toEqual(["follower", "leader", undefined]);
});

test("a manager is asked where it is reached, and not where the log has it", async () => {
  const { asked, reports } = world(
    { 2: async () => said(2, "leader") },
    new Map([[2, "10.9.9.2:2377"]]),
  );
  const [, second] = await reports();
  expect([asked, second?.member?.addr]).toEqual([["10.9.9.2:2377"], "10.9.9.2:2377"]);
});

test("a connection's trouble is told in plain words", () => {
  const lost = new Map([
    [2, "No connection established. Last error: connect ECONNREFUSED 10.0.0.2:2377."],
  ]);
  expect(linksOf(lost)).toEqual([{ raftId: 2, why: "connection refused" }]);
  expect(linksOf(undefined)).toEqual([]);
});
