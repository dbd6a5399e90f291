// What must never be so stops the process: each invariant that is asserted, broken once.
import { expect, test } from "vitest";
import { MessageKind } from "../../proto/gen/raft.js";
import { entry } from "../../test/fakes/raft-cluster.js";
import { RaftGroup } from "../../test/fakes/raft-group.js";
import { RaftLog } from "./log.js";
import { makeMessage } from "./message.js";

const log = () => new RaftLog({ index: 1, term: 1 }, [entry(2, 1), entry(3, 1)], 2);

test("a term has one leader, also when another's message comes to a follower", () => {
  const group = new RaftGroup([1, 2, 3]);
  group.elect(1);
  const { term } = group.raft(1);
  const other = makeMessage(MessageKind.HEARTBEAT, 2, 3, term, {});
  expect(() => group.step(other)).toThrow("a term has one leader");
});

test("a term has one leader, also after this member has stood for election in vain", () => {
  const group = new RaftGroup([1, 2, 3]);
  group.elect(1);
  const { term } = group.raft(1);
  group.isolate(3);
  for (let i = 0; i < 20; i++) group.tick(3);
  expect(group.raft(3)).toMatchObject({ role: "pre-candidate", term });
  const other = makeMessage(MessageKind.HEARTBEAT, 2, 3, term, {});
  expect(() => group.step(other)).toThrow("a term has one leader");
});

test("one index and term are one entry (Log Matching)", () => {
  expect(() => log().merge([entry(3, 1, "other"), entry(4, 1)])).toThrow("Log Matching");
});

test("a committed entry is never replaced", () => {
  expect(() => log().merge([entry(2, 2), entry(3, 2)])).toThrow("never replaced");
});

test("what is committed is in the log, and does not go back", () => {
  const one = log();
  expect(() => one.commitTo(4)).toThrow("in the log");
  one.commitTo(3);
  one.commitTo(2);
  expect(one.committed).toBe(3);
});

test("applied is never beyond committed, and no entry is applied twice or left out", () => {
  const one = log();
  expect(() => one.appliedTo(3)).toThrow("in order");
  one.appliedTo(2);
  expect(() => one.appliedTo(2)).toThrow("in order");
  expect(() => one.appliedTo(3)).toThrow("applied <= committed");
});

test("a leader appends at its end, and a log has no gap", () => {
  expect(() => log().append(entry(5, 1))).toThrow("at its end");
  expect(() => log().merge([entry(5, 1)])).toThrow("no gap");
});

test("a snapshot does not go back", () => {
  expect(() => log().restore({ index: 2, term: 1 })).toThrow("does not go back");
});
