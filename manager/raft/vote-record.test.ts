// Why a vote was lost, as the one that asked for it remembers: for people, at 3 a.m.
import { describe, expect, test } from "vitest";
import { MessageKind, VoteRefusal } from "../../proto/gen/raft.js";
import { RaftGroup } from "../../test/fakes/raft-group.js";
import { makeMessage } from "./message.js";
import type { Election } from "./vote-record.js";

/** Of the latest election of `id`, by voter: "granted", "none", or which refusal. */
function said(group: RaftGroup, id: number): Record<number, string> {
  const votes = latest(group, id)?.votes ?? new Map();
  return Object.fromEntries(
    [...votes].map(([voter, answer]) => [
      voter,
      answer.kind === "refused" ? VoteRefusal[answer.why.code] : answer.kind,
    ]),
  );
}

function latest(group: RaftGroup, id: number): Election | undefined {
  return group.raft(id).elections.at(-1);
}

/** Until it stands, and everything that follows has been said. */
function campaign(group: RaftGroup, id: number): void {
  group.raft(id).campaign();
  group.run();
}

describe("what a member remembers of its elections", () => {
  test("one that is won: who was asked, in which term", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    expect(
      group.raft(1).elections.map(({ preVote, term, outcome }) => [preVote, term, outcome]),
    ).toEqual([
      [true, 2, "won"],
      [false, 2, "won"],
    ]);
    expect(Object.values(said(group, 1))).toContain("granted");
  });

  test("a leader was heard: which, and how long ago by the voter's clock", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    for (const id of [1, 2, 3]) group.raft(id).setTime(5_000);
    group.propose(1, "heard");
    group.raft(2).setTime(5_250);
    campaign(group, 3);
    expect(said(group, 3)).toEqual({ 1: "LEADER_HEARD", 2: "LEADER_HEARD" });
    expect(latest(group, 3)?.votes.get(2)).toMatchObject({ why: { other: 1, heardMs: 250 } });
    expect(group.raft(1).role).toBe("leader");
  });

  test("what a voter says without being asked by Raft to say it is no vote", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    campaign(group, 3);
    // It goes on asking, and wins as soon as the leader is heard no more.
    expect(group.raft(3).role).toBe("pre-candidate");
    group.isolate(1);
    for (let i = 0; i < 10; i++) group.tick(2);
    for (let i = 0; i < 2; i++) group.tick(3);
    expect(group.raft(3).role).toBe("leader");
  });

  test("the log is behind the voter's last entry", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(3);
    group.propose(1, "missed");
    for (let i = 0; i < 9; i++) group.tick(2);
    group.heal();
    group.isolate(1);
    group.tick(2);
    campaign(group, 3);
    expect(said(group, 3)).toEqual({ 1: "none", 2: "LOG_BEHIND" });
    expect(latest(group, 3)?.votes.get(2)).toMatchObject({
      why: { number: group.raft(2).lastIndex },
    });
    expect(latest(group, 3)?.lastIndex).toBeLessThan(group.raft(2).lastIndex);
  });

  test("the vote of the term was given to another", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.lost.add(MessageKind.VOTE_RESPONSE);
    campaign(group, 1);
    group.step(makeMessage(MessageKind.VOTE, 2, 3, 2, { index: 1, logTerm: 1 }));
    const answer = group.sent.find(({ from, to }) => from === 3 && to === 2);
    const refusal = VoteRefusal.ALREADY_VOTED;
    expect(answer).toMatchObject({ reject: true, refusal, rejectHint: 1 });
  });

  test("the same again is counted where it stands, and only the last eight are kept", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.isolate(1);
    for (let at = 0; at < 5; at++) {
      group.raft(1).setTime(at * 1_000);
      campaign(group, 1);
    }
    expect(group.raft(1).elections).toMatchObject([
      { attempts: 4, outcome: "unanswered", beganMs: 0, latestMs: 3_000 },
      { attempts: 1, outcome: "open", beganMs: 4_000 },
    ]);
    group.heal();
    group.elect(1);
    for (let i = 0; i < 20; i++) {
      group.raft(i % 2 === 0 ? 1 : 2).transferLeader(i % 2 === 0 ? 2 : 1);
      group.ticks(2);
    }
    expect(group.raft(1).elections).toHaveLength(8);
    expect(latest(group, 1)).toMatchObject({ handedOver: true, outcome: "won" });
  });

  test("an answer of an earlier release has no reason, and one of a stranger is not written down", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.isolate(1);
    campaign(group, 1);
    const answer = { to: 1, term: 1, reject: true, refusal: 99 as VoteRefusal };
    for (const from of [2, 7]) {
      const kind = MessageKind.PRE_VOTE_RESPONSE;
      group.raft(1).step({ ...(group.sent[0] as (typeof group.sent)[0]), ...answer, kind, from });
    }
    expect(said(group, 1)).toEqual({ 2: "UNSPECIFIED", 3: "none" });
  });
});
