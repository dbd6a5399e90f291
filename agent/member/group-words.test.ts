// What a person reads about the managers, from what each says of itself.
import { expect, test } from "vitest";
import { ManagerReport } from "../../proto/gen/admin.js";
import { type ElectionReport, RaftReport, VoteRefusal } from "../../proto/gen/raft.js";
import { electionSentence } from "./election-words.js";
import { groupOf, groupWords } from "./group-words.js";

const id = (name: string) => Number(name.slice(1));

/** "h2" answers; a text instead of a report is why it does not. */
function manager(name: string, said: Partial<RaftReport> | string, learner = false): ManagerReport {
  const raftId = id(name);
  return ManagerReport.fromPartial({
    member: { raftId, nodeId: `id-${name}`, addr: `192.168.33.1${raftId}:2377`, learner },
    hostname: name,
    ...(typeof said === "string"
      ? { error: said }
      : { report: RaftReport.fromPartial({ raftId, role: "follower", ...said }) }),
  });
}

function words(...managers: ManagerReport[]) {
  const group = groupOf(managers, 1);
  if (group === undefined) throw new Error("h1 is among them");
  return groupWords(group);
}

const told = (raftId: number, reachable: boolean) => ({
  raftId,
  match: 9,
  lag: 0,
  diskUs: 0,
  reachable,
});
const leads = { role: "leader", term: 3, leaderRaftId: 1 };
const follows = { term: 3, leaderRaftId: 1 };
const REFUSED = "connection refused";

const cases: { name: string; given: ManagerReport[]; summary: RegExp; advice: RegExp }[] = [
  {
    name: "one manager",
    given: [manager("h1", leads)],
    summary: /^h1 is the only manager, and works\.$/,
    advice: /^$/,
  },
  {
    name: "all answer",
    given: [manager("h1", leads), manager("h2", follows), manager("h3", follows)],
    summary: /^h1 leads 3 managers, and all answer: 1 of these may fail\.$/,
    advice: /^$/,
  },
  {
    name: "two managers are less safe than one",
    given: [manager("h1", leads), manager("h2", follows)],
    summary: /none of these may fail, for 2 must reach each other/,
    advice: /make a third/,
  },
  {
    name: "a learner has no vote to count with",
    given: [manager("h1", leads), manager("h2", follows, true)],
    summary: /^h1 is the only manager/,
    advice: /^$/,
  },
  {
    name: "one is away",
    given: [manager("h1", leads), manager("h2", follows), manager("h3", REFUSED)],
    summary:
      /^h1 leads, and 2 of 3 managers answer: none .* No answer from h3 \(connection refused\)\.$/,
    advice: /^Bring h3 back, or take it away \('skein node demote h3'\)\.$/,
  },
  {
    name: "one that this manager does not reach answers the leader",
    given: [
      manager("h1", { ...follows, leaderRaftId: 2 }),
      manager("h2", {
        ...leads,
        progress: [told(3, true)],
      }),
      manager("h3", "no answer within 2 s"),
    ],
    summary:
      /all answer: 1 of .* h3 answers the leader, but not this manager \(no answer within 2 s\)\.$/,
    advice: /^$/,
  },
  {
    name: "the leader is not heard here, though it answers",
    given: [manager("h1", { term: 3 }), manager("h2", leads), manager("h3", follows)],
    summary: /^h2 leads .* This manager does not hear it/,
    advice: /2377\/tcp is open from h2 to this node/,
  },
  {
    name: "this manager is one that the leader does not hear: it is not counted with",
    given: [
      manager("h1", follows),
      manager("h2", { ...leads, progress: [told(1, false), told(3, true)] }),
      manager("h3", follows),
    ],
    summary:
      /^h2 leads, and 2 of 3 managers answer: none .* h1 \(it answers here, but not the leader\)\.$/,
    advice: /open from this node to h2/,
  },
  {
    name: "the quorum is lost: who is missing, how many are needed, and what goes on",
    given: [manager("h1", { term: 3 }), manager("h2", REFUSED), manager("h3", "no route to host")],
    summary:
      /^There is no leader: 2 of 3 managers must reach each other, and this one reaches none of the others\. No answer from h2 \(connection refused\) and h3 \(no route to host\)\.$/,
    advice: /^Start Skein on h2 and h3.*with 1 more the swarm goes on.*'skein swarm recover'/,
  },
  {
    name: "of five, two are not enough",
    given: [
      manager("h1", {}),
      manager("h5", {}),
      ...["h2", "h3", "h4"].map((name) => manager(name, REFUSED)),
    ],
    summary: /3 of 5 managers must reach each other, and this one reaches only 1 of the others/,
    advice: /with 1 more/,
  },
  {
    name: "the leader was lost a moment ago",
    given: [
      manager("h1", { leaderRaftId: 3, leaderHeardMs: 700 }),
      manager("h2", { leaderRaftId: 3 }),
      manager("h3", REFUSED),
    ],
    summary: /^h3 led until 0\.7 s ago, and does not answer \(connection refused\)\.$/,
    advice: /elected within two seconds/,
  },
  {
    name: "enough answer and nobody leads: who refused whom",
    given: [
      manager("h1", { elections: [election({ why: VoteRefusal.LOG_BEHIND, number: 17 })] }),
      manager("h2", {}),
      manager("h3", REFUSED),
    ],
    summary:
      /^There is no leader, though 2 of 3 managers answer this one.* h1 asked whether it could win term 4, 0\.4 s ago; h2 refused: the log is behind: 12 < 17; h3 did not answer\.$/,
    advice: /one to two seconds/,
  },
];
for (const { name, given, summary, advice } of cases) {
  test(name, () => {
    const said = words(...given);
    expect(said.summary).toMatch(summary);
    expect(said.advice).toMatch(advice);
  });
}

test("of two that say that they lead, the one of the later term does", () => {
  const said = words(
    manager("h1", { role: "leader", term: 3 }),
    manager("h2", { role: "leader", term: 4 }),
    manager("h3", { term: 4, leaderRaftId: 2 }),
  );
  expect(said.summary).toMatch(/^h2 leads/);
});

test("who is none of the managers has no group", () => {
  expect(groupOf([manager("h2", leads)], 1)).toBeUndefined();
});

test("a full, a stuck and a slow disk, and a manager far behind, are worth a sentence each", () => {
  const disk = { writeUs: 0, medianUs: 0, full: false };
  const progress = [{ raftId: 4, match: 1, lag: 5_000, diskUs: 0, reachable: true }];
  const { notes } = words(
    manager("h1", { ...leads, disk: { ...disk, full: true }, progress }),
    manager("h2", { disk: { ...disk, writingMs: 12_000 } }),
    manager("h3", { disk: { ...disk, medianUs: 320_000 } }),
    manager("h4", { disk }),
  );
  expect(notes).toEqual([
    "The disk of h1 is full: nothing is written there until it is not.",
    "A write to the disk of h2 has been under way for 12 s.",
    "The disk of h3 is slow: a write takes 320 ms.",
    "h4 lacks 5000 entries, and is being brought up to date.",
  ]);
});

interface Said {
  readonly why?: VoteRefusal;
  readonly other?: number;
  readonly number?: number;
  readonly heardMs?: number;
}

/** h1's, 12 entries long; h2 refused it. */
function election(said: Said, fields: Partial<ElectionReport> = {}): ElectionReport {
  const why = { why: VoteRefusal.UNSPECIFIED, other: 0, number: 0, heardMs: 0 };
  return {
    preVote: true,
    term: 4,
    beganMs: 400,
    latestMs: 400,
    attempts: 1,
    outcome: "unanswered",
    lastIndex: 12,
    handedOver: false,
    votes: [
      { raftId: 2, answer: "refused", ...why, ...said },
      { raftId: 3, answer: "none", ...why },
    ],
    ...fields,
  };
}

const refusals: [Said, string][] = [
  [{ why: VoteRefusal.LOG_BEHIND, number: 17 }, "the log is behind: 12 < 17"],
  [{ why: VoteRefusal.LOG_BEHIND, number: 11 }, "the log is older: its 12 is of an earlier term"],
  [
    { why: VoteRefusal.LEADER_HEARD, other: 3, heardMs: 240 },
    "it had heard from leader h3 0.2 s before",
  ],
  [{ why: VoteRefusal.LEADER_HEARD, other: 2 }, "it leads itself"],
  [{ why: VoteRefusal.ALREADY_VOTED, other: 3 }, "it had voted for h3 in this term"],
  [{ why: VoteRefusal.ALREADY_VOTED, other: 9 }, "it had voted for a manager that is gone"],
  [{ why: VoteRefusal.LATER_TERM, number: 14 }, "it is in term 14 already"],
  [{ why: VoteRefusal.STANDS_ITSELF }, "it stands itself, and goes first"],
  [{}, "it does not say why"],
];
for (const [said, want] of refusals) {
  test(`a vote is refused: ${want}`, () => {
    const links = [{ raftId: 3, why: REFUSED }];
    const by = manager("h1", { links });
    const all = [by, manager("h2", {}), manager("h3", REFUSED)];
    expect(electionSentence({ by, election: election(said) }, all)).toMatch(
      `h1 asked whether it could win term 4, 0.4 s ago; h2 refused: ${want}`,
    );
    const ended = electionSentence({ by, election: election(said, { preVote: false }) }, all);
    expect(ended).toMatch(
      /^h1 stood for election in term 4.*; h3 did not answer \(connection refused\)\.$/,
    );
  });
}
