// What docs/raft-claims.md lists and no other test shows: a test for each claim of the Raft paper (extended
// version) and of Ongaro's dissertation that this implementation relies on. "§" alone is the paper's.
import { describe, expect, test } from "vitest";
import { ConfChangeKind, MessageKind, type RaftMessage } from "../../proto/gen/raft.js";
import { entry, member } from "../../test/fakes/raft-cluster.js";
import { RaftGroup } from "../../test/fakes/raft-group.js";
import { applyChange, type Members, votersOf } from "./conf.js";
import { ELECTION_TICKS, HEARTBEAT_TICKS } from "./limits.js";
import { makeMessage } from "./message.js";
import { majorityReached } from "./quorum.js";
import { chunkAt, outgoing } from "./snapshot-chunks.js";

/** Three members, of which 1 has a log of these terms after its first entry, in the last one's term. */
function withLog(...terms: readonly number[]): RaftGroup {
  const group = new RaftGroup([1, 2, 3]);
  const hardState = { term: terms.at(-1) ?? 1, vote: 0, commit: 1 };
  group.add(
    1,
    group.get(1).snapshot,
    terms.map((term, i) => entry(i + 2, term)),
    hardState,
  );
  return group;
}

function elected(ids = [1, 2, 3]): RaftGroup {
  const group = new RaftGroup(ids);
  group.elect(1);
  group.sent.length = 0;
  return group;
}

const answers = (group: RaftGroup, kind: MessageKind) =>
  group.sent.filter((m) => m.kind === kind && m.from === 1);
const termsOf = (group: RaftGroup, id: number) => group.get(id).entries.map(({ term }) => term);
const append = (from: number, term: number, fields: Partial<RaftMessage>) =>
  makeMessage(MessageKind.APPEND, from, 1, term, fields);

describe("§5.1 terms", () => {
  test("§5.1 a leader and a candidate that hear of a later term follow it", () => {
    for (const role of ["leader", "candidate"] as const) {
      const group = new RaftGroup([1, 2, 3]);
      if (role === "candidate") group.lost.add(MessageKind.VOTE);
      if (role === "leader") group.elect(1);
      else for (let i = 0; i < 60 && group.raft(1).role !== "candidate"; i++) group.tick(1);
      expect(group.raft(1).role).toBe(role);
      group.step(append(2, 99, { index: 1, logTerm: 1 }));
      expect(group.raft(1)).toMatchObject({ role: "follower", term: 99, leaderId: 2 });
    }
  });

  test("§5.1 what comes from an earlier term changes nothing", () => {
    const group = withLog(5);
    const kinds = [MessageKind.APPEND, MessageKind.HEARTBEAT, MessageKind.VOTE];
    for (const kind of [...kinds, MessageKind.TIMEOUT_NOW, MessageKind.VOTE_RESPONSE]) {
      const entries = kind === MessageKind.APPEND ? [entry(2, 4)] : [];
      group.step(makeMessage(kind, 2, 1, 4, { index: 1, logTerm: 1, entries, commit: 2 }));
    }
    expect(group.raft(1)).toMatchObject({ role: "follower", term: 5, leaderId: 0, commit: 1 });
    expect(termsOf(group, 1)).toEqual([5]);
    expect(answers(group, MessageKind.VOTE_RESPONSE).filter(({ reject }) => !reject)).toEqual([]);
  });

  test("§5.1 a term is on disk before anything is said in it, and never goes back", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.get(1).held = true;
    group.step(append(2, 7, { index: 1, logTerm: 1 }));
    expect(answers(group, MessageKind.APPEND_RESPONSE)).toEqual([]);
    group.get(1).held = false;
    group.run();
    expect(answers(group, MessageKind.APPEND_RESPONSE)).toMatchObject([{ term: 7 }]);
    group.restart(1);
    expect(group.raft(1).term).toBe(7);
  });
});

describe("§5.2 elections", () => {
  test("§5.2 a candidate that hears the leader of its term follows it", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.lost.add(MessageKind.VOTE);
    for (let i = 0; i < 60 && group.raft(1).role !== "candidate"; i++) group.tick(1);
    const { term } = group.raft(1);
    group.step(append(3, term, { index: 1, logTerm: 1 }));
    expect(group.raft(1)).toMatchObject({ role: "follower", term, leaderId: 3 });
  });

  test("§5.2 half of an even group elects nobody", () => {
    const group = new RaftGroup([1, 2, 3, 4]);
    group.isolate(3, 4);
    group.ticks(100);
    expect([1, 2].map((id) => group.raft(id).role)).not.toContain("leader");
    expect(group.raft(1).term).toBe(1);
  });

  test("§5.2 the vote for oneself counts when it is on disk, and not before", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.get(1).held = true;
    group.isolate(2);
    for (let i = 0; i < ELECTION_TICKS * 2; i++) group.tick(1);
    expect(group.raft(1).role).toBe("candidate");
    group.get(1).held = false;
    group.run();
    expect(group.raft(1).role).toBe("leader");
  });

  test("§5.6 there are three signs of life in the shortest time in which one is missed", () => {
    expect(HEARTBEAT_TICKS * 3).toBeLessThan(ELECTION_TICKS);
    const group = elected();
    for (let i = 0; i < ELECTION_TICKS; i++) group.tick(1);
    const heard = group.sent.filter((m) => m.kind === MessageKind.HEARTBEAT && m.to === 2);
    expect(heard.length).toBeGreaterThanOrEqual(3);
  });
});

describe("§5.3 replication", () => {
  test("§5.3 entries are taken only where the one before them agrees", () => {
    const cases = [
      { name: "it is missing", index: 9, logTerm: 2, taken: false },
      { name: "it is of another term", index: 3, logTerm: 3, taken: false },
      { name: "it agrees", index: 3, logTerm: 2, taken: true },
    ];
    for (const { name, index, logTerm, taken } of cases) {
      const group = withLog(2, 2, 2);
      group.step(append(2, 4, { index, logTerm, entries: [entry(index + 1, 4)] }));
      const [answer] = answers(group, MessageKind.APPEND_RESPONSE);
      expect(answer?.reject, name).toBe(!taken);
      expect(termsOf(group, 1), name).toEqual(taken ? [2, 2, 4] : [2, 2, 2]);
    }
  });

  test("§5.3 what agrees stays: an earlier message that comes late cuts nothing off (figure 2, step 3)", () => {
    const group = withLog(2, 2, 2);
    group.step(append(2, 2, { index: 1, logTerm: 1, entries: [entry(2, 2)] }));
    expect(termsOf(group, 1)).toEqual([2, 2, 2]);
  });

  test("§5.3 a follower commits no more than the message has shown to agree (figure 2, step 5)", () => {
    const group = withLog(2, 2, 2);
    group.step(append(2, 4, { index: 2, logTerm: 2, entries: [], commit: 4 }));
    expect(group.raft(1).commit).toBe(2);
  });

  test("§5.3 a leader only appends to its log (figure 3, Leader Append-Only)", () => {
    const group = withLog(2, 2);
    group.elect(1);
    const before = termsOf(group, 1);
    const { term } = group.raft(1);
    for (const from of [2, 3]) {
      group.step(
        makeMessage(MessageKind.APPEND_RESPONSE, from, 1, term, { index: 2, reject: true }),
      );
      group.step(makeMessage(MessageKind.APPEND_RESPONSE, from, 1, term, { index: 9 }));
    }
    group.propose(1, "x");
    expect(termsOf(group, 1)).toEqual([...before, term]);
  });

  test("§5.5 every message may come twice", () => {
    const group = elected();
    group.propose(1, "a");
    group.propose(1, "b");
    const state = () => [1, 2, 3].map((id) => [termsOf(group, id), group.get(id).applied]);
    const before = state();
    for (const message of [...group.sent]) group.step(message);
    expect(state()).toEqual(before);
    expect(group.raft(1).role).toBe("leader");
  });
});

describe("§5.4 and §8: what a new leader knows", () => {
  test("§8 a new leader begins with an entry of its own, and commits with it what came before", () => {
    const group = withLog(2, 2);
    group.elect(1);
    const last = group.get(1).entries.at(-1);
    expect(last).toMatchObject({ index: 4, term: group.raft(1).term });
    expect(last?.data).toHaveLength(0);
    expect(group.raft(1).commit).toBe(4);
  });

  test("§5.4.3 whoever is elected has all that was committed (Leader Completeness)", () => {
    // x is on 1 and 2 only. Of every two that are left, only one with x is elected.
    for (const gone of [1, 2, 3]) {
      const group = elected();
      group.isolate(3);
      group.propose(1, "x");
      expect(group.get(1).applied).toEqual(["x"]);
      group.heal();
      group.isolate(gone);
      group.ticks(60);
      const leader = [1, 2, 3].find((id) => id !== gone && group.raft(id).role === "leader");
      expect(group.get(leader ?? 0).applied).toEqual(["x"]);
    }
  });
});

describe("§7 snapshots", () => {
  const snapshotAt = (index: number, term: number, members: Members) =>
    chunkAt(outgoing({ meta: { index, term, conf: { members } }, data: Buffer.from(`["s"]`) }), 0);
  const install = (group: RaftGroup, chunk: RaftMessage["chunk"]) =>
    group.step(makeMessage(MessageKind.SNAPSHOT, 2, 1, 6, { chunk }));
  const members = [member(1), member(2), member(3)];

  test("§7 a log that does not agree with the snapshot goes (InstallSnapshot, step 7)", () => {
    const group = withLog(2, 2, 2);
    install(group, snapshotAt(3, 4, members));
    expect(group.raft(1)).toMatchObject({ commit: 3, lastIndex: 3, firstIndex: 4 });
    expect(group.get(1).applied).toEqual(["s"]);
  });

  test("§7 of one that agrees, what follows stays (step 6)", () => {
    const group = withLog(2, 2, 2);
    install(group, snapshotAt(3, 2, members));
    expect(group.raft(1)).toMatchObject({ commit: 3, lastIndex: 4 });
  });

  test("§7 one that is older than what is committed changes nothing", () => {
    const group = elected();
    group.propose(1, "x");
    const before = group.raft(2).commit;
    const chunk = snapshotAt(2, 2, members);
    group.step(makeMessage(MessageKind.SNAPSHOT, 1, 2, 2, { chunk }));
    expect(group.raft(2).commit).toBe(before);
    expect(group.get(2).applied).toEqual(["x"]);
  });

  test("§7 the members come with it", () => {
    const group = new RaftGroup([1, 2, 3]);
    install(group, snapshotAt(5, 4, [...members, member(9)]));
    expect(votersOf(group.raft(1).members)).toEqual([1, 2, 3, 9]);
  });
});

describe("dissertation", () => {
  test("dissertation §3.8 what is acknowledged is on disk: entries too", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.get(1).held = true;
    group.step(append(2, 1, { index: 1, logTerm: 1, entries: [entry(2, 1)] }));
    expect(answers(group, MessageKind.APPEND_RESPONSE)).toEqual([]);
    group.get(1).held = false;
    group.run();
    expect(answers(group, MessageKind.APPEND_RESPONSE)).toMatchObject([{ index: 2 }]);
  });

  test("dissertation §4.1 any majority before and any after a change have a member in common", () => {
    const sizes = [1, 2, 3, 4, 5, 6, 7];
    for (const size of sizes) {
      const before: Members = sizes.slice(0, size).map((id) => member(id));
      const learner = member(9, true);
      const changes: Members[] = [
        applyChange([...before, learner], { kind: ConfChangeKind.PROMOTE, member: learner }),
        applyChange(before, { kind: ConfChangeKind.REMOVE, member: member(1) }),
      ];
      for (const after of changes) {
        for (const one of majorities(votersOf(before))) {
          for (const other of majorities(votersOf(after))) {
            expect(one.some((id) => other.includes(id))).toBe(true);
          }
        }
      }
    }
  });

  test("dissertation §4.1, as we do it: who has a change in its log has applied the one before", () => {
    // A change counts here when it is applied, not when it is in the log (docs/raft-claims.md).
    const group = elected();
    const add = (raftId: number) =>
      group.raft(1).proposeConfChange({
        kind: ConfChangeKind.ADD_LEARNER,
        member: member(raftId, true),
      });
    add(4);
    // The answers that commit it come, and the news of that does not.
    group.arrivals = (m) => m.kind !== MessageKind.APPEND || m.entries.length > 0;
    group.run();
    expect(group.raft(2).members).toHaveLength(3);
    expect(add(5).kind).toBe("appended");
    group.run();
    expect(group.raft(2).lastIndex).toBe(4);
    expect(group.raft(2).members.map(({ raftId }) => raftId)).toEqual([1, 2, 3, 4]);
    group.restart(2);
    group.get(2).held = true;
    group.raft(2).ready(false);
    expect(group.raft(2).members.map(({ raftId }) => raftId)).toEqual([1, 2, 3, 4]);
  });

  test("dissertation §4.2.2 entries and votes are taken of who is not in one's configuration", () => {
    const group = new RaftGroup([1, 2, 3]);
    group.step(append(9, 2, { index: 1, logTerm: 1, entries: [entry(2, 2)] }));
    expect(group.raft(1)).toMatchObject({ leaderId: 9, lastIndex: 2 });
    const other = new RaftGroup([1, 2, 3]);
    other.step(makeMessage(MessageKind.VOTE, 9, 1, 5, { index: 1, logTerm: 1 }));
    expect(answers(other, MessageKind.VOTE_RESPONSE)).toMatchObject([{ to: 9, reject: false }]);
  });

  test("dissertation §4.2.3 a vote is not given within the shortest election timeout of hearing a leader", () => {
    const group = elected();
    const { term } = group.raft(2);
    const vote = makeMessage(MessageKind.VOTE, 3, 2, term + 1, { index: 9, logTerm: term });
    group.step(vote);
    expect(group.raft(2).term).toBe(term);
    group.isolate(1);
    for (let i = 0; i < ELECTION_TICKS; i++) group.raft(2).tick();
    group.step(vote);
    expect(group.raft(2).term).toBe(term + 1);
  });

  test("dissertation §6.4 steps 2 and 3: only a heartbeat sent after the read confirms it", () => {
    const group = elected();
    group.lost.add(MessageKind.HEARTBEAT_RESPONSE);
    group.raft(1).readIndex(7);
    group.run();
    const { term } = group.raft(1);
    const confirm = (context: number) =>
      group.step(makeMessage(MessageKind.HEARTBEAT_RESPONSE, 2, 1, term, { context }));
    confirm(0);
    expect(group.get(1).reads).toEqual([]);
    confirm(1);
    expect(group.get(1).reads).toMatchObject([{ context: 7 }]);
    group.raft(1).readIndex(8);
    group.run();
    confirm(1);
    expect(group.get(1).reads).toHaveLength(1);
  });

  test("dissertation §6.4 a learner's answer confirms no read", () => {
    const group = new RaftGroup([1, 2, 3], [3]);
    group.elect(1);
    group.isolate(2);
    group.raft(1).readIndex(7);
    group.run();
    expect(group.get(1).reads).toEqual([]);
  });

  test("dissertation §9.6 consent to a PreVote changes neither term nor vote, and binds nobody", () => {
    const group = new RaftGroup([1, 2, 3]);
    const ask = (from: number) =>
      group.step(makeMessage(MessageKind.PRE_VOTE, from, 1, 2, { index: 1, logTerm: 1 }));
    ask(2);
    ask(3);
    const given = answers(group, MessageKind.PRE_VOTE_RESPONSE);
    expect(given.map(({ to, reject }) => [to, reject])).toEqual([
      [2, false],
      [3, false],
    ]);
    expect(group.get(1).hardState).toMatchObject({ term: 1, vote: 0 });
  });

  test("dissertation §10.2.1 entries go on before those before them are answered, and in any order", () => {
    const group = elected();
    group.lost.add(MessageKind.APPEND);
    for (const text of ["a", "b", "c"]) group.propose(1, text);
    const appends = group.sent.filter(
      (m) => m.kind === MessageKind.APPEND && m.to === 2 && m.entries.length > 0,
    );
    expect(appends).toHaveLength(3);
    group.lost.clear();
    for (const message of appends.reverse()) group.step(message);
    group.ticks(3);
    expect(group.get(2).applied).toEqual(["a", "b", "c"]);
  });
});

/** All majorities, by the function that the core counts with. */
function majorities(voters: readonly number[]): readonly number[][] {
  const sets = Array.from({ length: 2 ** voters.length }, (_, bits) =>
    voters.filter((_voter, i) => (bits & (1 << i)) !== 0),
  );
  const decides = (set: readonly number[]) =>
    majorityReached(voters, (voter) => (set.includes(voter) ? 1 : 0)) === 1;
  return sets.filter(decides);
}
