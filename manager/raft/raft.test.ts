// What the paper and the dissertation claim, section by section.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfChangeKind, MessageKind, type RaftMessage } from "../../proto/gen/raft.js";
import { entry, member } from "../../test/fakes/raft-cluster.js";
import { RaftGroup } from "../../test/fakes/raft-group.js";
import { ELECTION_TICKS, ENTRY_BYTES_MAX } from "./limits.js";
import { makeMessage } from "./message.js";

/** A group of members 1..n whose logs after index 1 have these terms. */
function groupWith(logs: readonly (readonly number[])[]): RaftGroup {
  const group = new RaftGroup(logs.map((_, i) => i + 1));
  // Every term in a log had its leader, so that the next one is later than all of them.
  const term = Math.max(1, ...logs.flat());
  logs.forEach((terms, i) => {
    const entries = terms.map((term, j) => entry(j + 2, term));
    const hardState = { term, vote: 0, commit: 1 };
    group.add(i + 1, group.get(i + 1).snapshot, entries, hardState);
  });
  return group;
}

const termsOf = (group: RaftGroup, id: number) => group.get(id).entries.map(({ term }) => term);
const change = (kind: ConfChangeKind, raftId: number) => ({
  kind,
  member: member(raftId, kind === ConfChangeKind.ADD_LEARNER),
});
const ids = (group: RaftGroup, id: number) => group.raft(id).members.map(({ raftId }) => raftId);

describe("Raft section 5.2: leader election", () => {
  test("a follower that hears nothing is elected, and the others follow it", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    expect([1, 2, 3].map((id) => group.raft(id).leaderId)).toEqual([1, 1, 1]);
    expect([1, 2, 3].map((id) => group.raft(id).term)).toEqual([2, 2, 2]);
  });

  test("a member votes once a term, also after a crash", () => {
    const group = new RaftGroup([1, 2, 3]);
    const vote = (from: number) =>
      makeMessage(MessageKind.VOTE, from, 1, 5, { index: 1, logTerm: 1 });
    const answers = () =>
      group.sent
        .filter(({ kind }) => kind === MessageKind.VOTE_RESPONSE)
        .map(({ to, reject }) => [to, reject]);
    group.step(vote(2));
    group.restart(1);
    group.step(vote(3));
    group.step(vote(2));
    expect(answers()).toEqual([
      [2, false],
      [3, true],
      [2, false],
    ]);
  });

  test("a vote is not given before it is on disk", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.get(1).held = true;
    group.step(makeMessage(MessageKind.VOTE, 2, 1, 5, { index: 1, logTerm: 1 }));
    const given = () => group.sent.some(({ kind }) => kind === MessageKind.VOTE_RESPONSE);
    expect(given()).toBe(false);
    group.get(1).held = false;
    group.run();
    expect(given()).toBe(true);
  });

  test("without a majority there is no leader, and no term is used up (PreVote)", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.isolate(2, 3);
    group.ticks(100);
    expect(group.raft(1)).toMatchObject({ role: "pre-candidate", term: 1 });
  });

  test("timeouts lie between 10 and 15 ticks", () => {
    const group = new RaftGroup([1, 2, 3]);
    const ticks = () => {
      let count = 0;
      for (; group.raft(1).role === "follower"; count++) group.raft(1).tick();
      return count;
    };
    for (let i = 0; i < 20; i++) {
      const count = ticks();
      expect(count).toBeGreaterThanOrEqual(10);
      expect(count).toBeLessThan(15);
      group.restart(1);
    }
  });
});

describe("Raft section 5.3: log replication", () => {
  // Figure 7: the leader for term 8, and what followers may have; without the first entry, which the
  // snapshot that a group begins with stands for. Terms are one later, for that snapshot's is 1.
  const leader = [1, 1, 4, 4, 5, 5, 6, 6, 6].map((term) => term + 1);
  const followers = [
    { name: "a: entries missing", terms: [1, 1, 4, 4, 5, 5, 6, 6] },
    { name: "b: many entries missing", terms: [1, 1, 4] },
    { name: "c: an uncommitted entry more", terms: [1, 1, 4, 4, 5, 5, 6, 6, 6, 6] },
    { name: "d: a later term", terms: [1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7] },
    { name: "e: both", terms: [1, 1, 4, 4, 4, 4] },
    { name: "f: a whole term that was never committed", terms: [1, 1, 2, 2, 2, 3, 3, 3, 3, 3] },
  ];
  for (const { name, terms } of followers) {
    test(`figure 7 (${name}): the follower's log becomes the leader's`, () => {
      const group = groupWith([leader, terms.map((term) => term + 1), []]);
      // The third member's vote elects the leader.
      group.isolate(2);
      group.elect(1);
      group.heal();
      group.ticks(3);
      group.propose(1, "x");
      expect(termsOf(group, 2)).toEqual(termsOf(group, 1));
      expect(group.raft(2).commit).toBe(group.raft(1).commit);
    });
  }

  test("a conflict of a thousand entries is found in a few messages", () => {
    const long = Array.from({ length: 1_000 }, () => 2);
    const group = groupWith([[...long.slice(0, 10), 4], [...long], []]);
    group.isolate(2);
    group.elect(1);
    group.sent.length = 0;
    group.heal();
    group.ticks(2);
    expect(termsOf(group, 2)).toEqual(termsOf(group, 1));
    const refusals = group.sent.filter((m) => m.kind === MessageKind.APPEND_RESPONSE && m.reject);
    expect(refusals.length).toBeLessThanOrEqual(3);
  });

  test("an entry is committed when a majority has it on disk, and not before", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.get(2).held = true;
    group.get(3).held = true;
    const before = group.raft(1).commit;
    group.propose(1, "x");
    expect(group.raft(1).commit).toBe(before);
    group.get(3).held = false;
    group.run();
    expect(group.raft(1).commit).toBe(before + 1);
  });

  test("a leader's own slow disk does not hold up a majority of others", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.get(1).held = true;
    group.propose(1, "x");
    expect(group.get(1).applied).toEqual(["x"]);
    expect(group.raft(1).stable).toBeLessThan(group.raft(1).commit);
  });
});

describe("Raft section 5.4: safety", () => {
  const cases = [
    { name: "a later last term", ours: [2, 3], theirs: [2, 2, 2], wins: true },
    { name: "a longer log of the same term", ours: [2, 2, 2], theirs: [2, 2], wins: true },
    { name: "the same log", ours: [2, 2], theirs: [2, 2], wins: true },
    { name: "an earlier last term", ours: [2, 2, 2], theirs: [2, 3], wins: false },
    { name: "a shorter log", ours: [2], theirs: [2, 2], wins: false },
  ];
  for (const { name, ours, theirs, wins } of cases) {
    test(`5.4.1: with ${name} a candidate ${wins ? "wins" : "loses"}`, () => {
      const group = groupWith([ours, theirs, theirs]);
      for (let i = 0; i < 60; i++) group.tick(1);
      expect(group.raft(1).role === "leader").toBe(wins);
    });
  }

  test("5.4.2, figure 8: an entry of an earlier term is not committed by counting", () => {
    // (c): the entry of term 2 is on a majority, but nothing of the leader's own term is.
    const group = groupWith([[2], [2], [2]]);
    group.isolate(3);
    group.lost.add(MessageKind.APPEND_RESPONSE);
    group.elect(1);
    const term = group.raft(1).term;
    const has = (index: number) =>
      group.raft(1).step(makeMessage(MessageKind.APPEND_RESPONSE, 2, 1, term, { index }));
    has(2);
    group.run();
    expect(group.raft(1).commit).toBe(1);
    // (e): with its own entry on a majority both are committed, together.
    has(3);
    group.run();
    expect(group.raft(1).commit).toBe(3);
  });
});

describe("dissertation section 3.10: leadership transfer", () => {
  test("the target is elected at once, though the others hear a leader", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    expect(group.raft(1).transferLeader(3)).toBe(true);
    group.run();
    expect([1, 2, 3].map((id) => group.raft(id).leaderId)).toEqual([3, 3, 3]);
  });

  test("meanwhile nothing is proposed; after an election timeout it is given up", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(3);
    group.propose(1, "x");
    group.raft(1).transferLeader(3);
    const propose = () => group.raft(1).propose(Buffer.from("y"));
    expect(propose()).toMatchObject({ kind: "refused", reason: "transferring" });
    for (let i = 0; i < 10; i++) group.tick(1, 2);
    expect(propose()).toMatchObject({ kind: "appended" });
  });

  test("not to oneself, to a learner, or to a stranger", () => {
    const group = new RaftGroup([1, 2, 3, 4], [4]);
    group.elect(1);
    expect([1, 4, 9].map((id) => group.raft(1).transferLeader(id))).toEqual([false, false, false]);
  });
});

describe("dissertation chapter 4: membership", () => {
  test("one change at a time", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.raft(1).proposeConfChange(change(ConfChangeKind.ADD_LEARNER, 4));
    const second = group.raft(1).proposeConfChange(change(ConfChangeKind.ADD_LEARNER, 5));
    expect(second).toMatchObject({ reason: "change-pending" });
    group.run();
    expect(ids(group, 1)).toEqual([1, 2, 3, 4]);
    const third = group.raft(1).proposeConfChange(change(ConfChangeKind.ADD_LEARNER, 5));
    expect(third.kind).toBe("appended");
  });

  test("none before the leader has committed an entry of its term (the correction of 2015)", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.lost.add(MessageKind.APPEND);
    group.elect(1);
    const refused = group.raft(1).proposeConfChange(change(ConfChangeKind.ADD_LEARNER, 4));
    expect(refused).toMatchObject({ reason: "new-term" });
  });

  test("4.2.1: a learner catches up by snapshot and log, counts for nothing, and is promoted", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    for (let i = 0; i < 20; i++) group.propose(1, `${i}`);
    group.raft(1).proposeConfChange(change(ConfChangeKind.ADD_LEARNER, 4));
    group.run();
    expect(group.raft(1).hasCaughtUp(4)).toBe(false);
    group.add(4);
    group.ticks(3);
    expect(group.raft(1).hasCaughtUp(4)).toBe(true);
    expect(group.get(4).applied).toEqual(group.get(1).applied);
    group.isolate(2, 3);
    const before = group.raft(1).commit;
    group.propose(1, "x");
    expect(group.raft(1).commit).toBe(before);
    group.heal();
    group.ticks(3);
    group.raft(1).proposeConfChange(change(ConfChangeKind.PROMOTE, 4));
    group.run();
    expect(group.raft(4).members.find(({ raftId }) => raftId === 4)?.learner).toBe(false);
  });

  test("a learner does not stand for election", () => {
    const group = new RaftGroup([1, 2, 3], [3]);
    for (let i = 0; i < 100; i++) group.tick(3);
    expect(group.raft(3).role).toBe("follower");
  });

  test("4.2.2: a leader that removes itself steps down when that is committed", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.raft(1).proposeConfChange(change(ConfChangeKind.REMOVE, 1));
    group.run();
    expect(group.raft(1).role).toBe("follower");
    expect([2, 3].filter((id) => group.raft(id).role === "leader")).toHaveLength(1);
    group.ticks(100);
    expect(group.raft(1).role).toBe("follower");
  });

  test("4.2.3: a removed member that knows nothing of it disturbs nobody", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(3);
    group.raft(1).proposeConfChange(change(ConfChangeKind.REMOVE, 3));
    group.run();
    group.heal();
    const { term } = group.raft(1);
    group.ticks(100);
    expect(group.raft(1)).toMatchObject({ role: "leader", term });
  });

  test("the last voter cannot be removed", () => {
    const group = new RaftGroup([1]);
    group.elect(1);
    const refused = group.raft(1).proposeConfChange(change(ConfChangeKind.REMOVE, 1));
    expect(refused).toMatchObject({ reason: "bad-change", why: "it is the last voter" });
  });
});

describe("dissertation section 6.2: a leader without a majority steps down (CheckQuorum)", () => {
  test("within an election timeout", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(1);
    for (let i = 0; i < 10; i++) group.tick(1);
    expect(group.raft(1).role).toBe("follower");
  });

  test("and one that is heard by half of an even group only", () => {
    const group = new RaftGroup([1, 2, 3, 4]);
    group.elect(1);
    group.isolate(3, 4);
    for (let i = 0; i < 12; i++) group.tick(1, 2);
    expect(group.raft(1).role).not.toBe("leader");
  });
});

describe("dissertation section 6.4: reads without an entry", () => {
  test("a leader answers after a round of heartbeats, a follower through it", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.propose(1, "x");
    const index = group.raft(1).commit;
    group.raft(1).readIndex(7);
    group.raft(2).readIndex(8);
    group.run();
    expect(group.get(1).reads).toEqual([{ context: 7, index }]);
    expect(group.get(2).reads).toEqual([{ context: 8, index }]);
  });

  test("a leader that is cut off answers none", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(1);
    group.raft(1).readIndex(7);
    for (let i = 0; i < 20; i++) group.tick(1);
    expect(group.get(1).reads).toEqual([]);
  });

  test("step 1: none before an entry of the leader's term is committed", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.lost.add(MessageKind.APPEND);
    group.elect(1);
    group.raft(1).readIndex(7);
    group.tick(1);
    expect(group.get(1).reads).toEqual([]);
    group.heal();
    group.ticks(3);
    expect(group.get(1).reads).toHaveLength(1);
  });
});

describe("dissertation section 9.6: PreVote", () => {
  test("a member that was cut off does not unseat the leader when it comes back", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    const { term } = group.raft(1);
    group.isolate(3);
    group.ticks(200);
    group.heal();
    group.ticks(50);
    expect([1, 2, 3].map((id) => group.raft(id).leaderId)).toEqual([1, 1, 1]);
    expect(group.raft(3).term).toBe(term);
  });

  test("a member that is ahead in term is brought back in, not left out for ever", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    const three = group.get(3);
    group.add(3, three.snapshot, three.entries, { term: 9, vote: 3, commit: 1 });
    group.ticks(60);
    const leaders = [1, 2, 3].map((id) => group.raft(id).leaderId);
    expect(new Set(leaders).size).toBe(1);
    expect(leaders[0]).not.toBe(0);
    expect(group.raft(3).term).toBeGreaterThan(9);
  });
});

describe("Raft section 7: snapshots", () => {
  test("one larger than a chunk arrives whole, also when every second chunk is lost", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(3);
    const big = "x".repeat(700_000);
    for (let i = 0; i < 5; i++) group.propose(1, `${i}${big}`);
    group.raft(1).compact(group.raft(1).applied);
    group.heal();
    for (let i = 0; i < 120; i++) {
      if (i % 2 === 0) group.lost.add(MessageKind.SNAPSHOT);
      else group.lost.clear();
      group.ticks(1);
    }
    expect(group.get(3).applied).toHaveLength(5);
    group.propose(1, "after");
    expect(group.get(3).applied).toEqual(group.get(1).applied);
    const chunks = group.sent.filter(({ kind }) => kind === MessageKind.SNAPSHOT);
    expect(chunks.length).toBeGreaterThanOrEqual(4);
    for (const { chunk } of chunks) expect(chunk?.data.length).toBeLessThanOrEqual(2 ** 20);
  });

  /** Member 3 is sent a snapshot of five chunks by the leader, member 1, and has got two of them. */
  function halfSent(): RaftGroup {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(3);
    for (let i = 0; i < 8; i++) group.propose(1, `${i}${"x".repeat(600_000)}`);
    group.raft(1).compact(group.raft(1).applied);
    group.heal();
    group.arrivals = (message) => (message.chunk?.offset ?? 0) < 2 * 2 ** 20;
    group.ticks(3);
    return group;
  }
  const offsets = (group: RaftGroup) =>
    group.sent.flatMap(({ chunk }) => (chunk === undefined ? [] : [chunk.offset / 2 ** 20]));

  test("one that was broken off goes on from the last chunk that arrived, while entries are added", () => {
    const group = halfSent();
    group.isolate(3);
    group.ticks(100);
    group.propose(1, "meanwhile");
    group.heal();
    group.arrivals = () => true;
    group.sent.length = 0;
    group.ticks(2 * ELECTION_TICKS);
    expect(offsets(group)).toEqual([2, 3, 4]);
    expect(group.get(3).applied).toEqual(group.get(1).applied);
  });

  test("to one that started anew it begins anew", () => {
    const group = halfSent();
    group.restart(3);
    group.arrivals = () => true;
    group.ticks(3 * ELECTION_TICKS);
    expect(group.get(3).applied).toEqual(group.get(1).applied);
  });

  test("what follows it is still there when it has arrived, however often the log was compacted", () => {
    const group = halfSent();
    for (let i = 0; i < 20; i++) group.propose(1, `${i}`);
    const one = group.raft(1);
    one.compact(one.compactable(one.applied));
    group.arrivals = () => true;
    group.sent.length = 0;
    group.ticks(2 * ELECTION_TICKS);
    expect(offsets(group).filter((offset) => offset === 0)).toEqual([]);
    expect(group.get(3).applied).toEqual(group.get(1).applied);
  });

  test("one that ends before the log begins is not sent: another is asked for", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.isolate(3);
    group.propose(1, "a");
    group.late.push(group.state(1));
    group.propose(1, "b");
    group.raft(1).compact(group.raft(1).applied);
    group.heal();
    group.ticks(2 * ELECTION_TICKS);
    expect(group.late).toEqual([]);
    expect(group.get(3).applied).toEqual(["a", "b"]);
    const ends = group.sent.flatMap(({ chunk }) => chunk?.meta?.index ?? []);
    expect(new Set(ends)).toEqual(new Set([group.raft(1).applied]));
  });

  test("a damaged chunk is not taken", () => {
    const group = new RaftGroup([1, 2, 3]);
    const meta = { index: 9, term: 2, conf: { members: [member(1), member(2)] } };
    const chunk = {
      meta,
      offset: 0,
      total: 2,
      data: Buffer.from("[]"),
      crc32c: 1,
      last: true,
      sha256: Buffer.alloc(32),
    };
    group.step(makeMessage(MessageKind.SNAPSHOT, 2, 1, 2, { chunk }));
    expect(group.raft(1).commit).toBe(1);
  });
});

describe("limits", () => {
  test("an entry that is too large is refused", () => {
    const group = new RaftGroup([1]);
    group.elect(1);
    const big = Buffer.alloc(ENTRY_BYTES_MAX + 1);
    expect(group.raft(1).propose(big)).toMatchObject({ reason: "too-large" });
  });

  test("what waits for a majority is bounded, and so is what is sent ahead", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.elect(1);
    group.lost.add(MessageKind.APPEND_RESPONSE);
    group.sent.length = 0;
    let accepted = 0;
    const data = Buffer.alloc(2 ** 20);
    while (accepted < 1_000 && group.raft(1).propose(data).kind === "appended") accepted++;
    group.run();
    expect(accepted).toBe(64);
    const ahead = group.sent.filter((m) => m.kind === MessageKind.APPEND && m.to === 2);
    expect(ahead.length).toBeLessThanOrEqual(9);
  });

  test("no message, however wrong, throws or changes what is committed", () => {
    const small = fc.integer({ min: 0, max: 12 });
    const wrong = fc.record({
      // What a leader of this term says is believed: a follower cannot check it.
      kind: fc.constantFrom(
        MessageKind.APPEND_RESPONSE,
        MessageKind.PRE_VOTE,
        MessageKind.PRE_VOTE_RESPONSE,
        MessageKind.VOTE_RESPONSE,
        MessageKind.NO_VOTE,
        MessageKind.HEARTBEAT_RESPONSE,
        MessageKind.TIMEOUT_NOW,
        MessageKind.READ_INDEX,
        MessageKind.READ_INDEX_RESPONSE,
        MessageKind.SNAPSHOT_RESPONSE,
        MessageKind.UNRECOGNIZED,
      ),
      from: small,
      term: fc.integer({ min: 0, max: 2 }),
      logTerm: small,
      index: small,
      commit: small,
      reject: fc.boolean(),
      rejectHint: small,
      rejectTerm: small,
      context: small,
    });
    fc.assert(
      fc.property(fc.array(wrong, { maxLength: 30 }), (messages) => {
        const group = new RaftGroup([1, 2, 3]);
        group.elect(1);
        group.propose(1, "kept");
        for (const { from, kind, term, ...fields } of messages) {
          const message: RaftMessage = makeMessage(kind, from, 1, term, fields);
          group.raft(1).step(message);
        }
        group.run();
        expect(group.get(1).applied[0]).toBe("kept");
      }),
    );
  });
});
