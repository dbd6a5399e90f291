// A vote that is taken away: when the others can do without whoever had it (docs/consensus.md).
import { expect, test } from "vitest";
import { ConfChangeKind, EntryKind, MessageKind } from "../../proto/gen/raft.js";
import { member } from "../../test/fakes/raft-cluster.js";
import { RaftGroup } from "../../test/fakes/raft-group.js";

const remove = (id: number) => ({ kind: ConfChangeKind.REMOVE, member: member(id) });

test("a removal is final when a majority of the others has written that it is committed", () => {
  const group = new RaftGroup([1, 2, 3, 4]);
  group.elect(1);
  const index = group.raft(1).lastIndex + 1;
  // What follows the removal reaches nobody.
  group.arrivals = ({ kind, entries }) =>
    kind !== MessageKind.APPEND || entries.every((entry) => entry.index <= index);
  group.raft(1).proposeConfChange(remove(4));
  group.run();
  group.ticks(3);
  expect(group.raft(1).members.map(({ raftId }) => raftId)).toEqual([1, 2, 3]);
  expect(group.raft(1).removalsFinal).toBe(false);

  group.arrivals = () => true;
  group.ticks(6);
  expect(group.raft(1).removalsFinal).toBe(true);
  const known = [1, 2, 3].filter((id) => group.get(id).hardState.commit >= index);
  expect(known.length).toBeGreaterThanOrEqual(2);
});

test("then any majority of the others elects a leader, whatever it was doing", () => {
  for (const away of [1, 2, 3]) {
    const group = new RaftGroup([1, 2, 3, 4]);
    group.elect(1);
    group.raft(1).proposeConfChange(remove(4));
    group.run();
    expect(group.raft(1).removalsFinal).toBe(true);
    group.isolate(4, away);
    const left = [1, 2, 3].filter((id) => id !== away);
    for (const id of left) group.restart(id);
    for (let i = 0; i < 60; i++) group.tick(...left);
    expect(left.filter((id) => group.raft(id).role === "leader")).toHaveLength(1);
  }
});

test("to take a learner away, or to change an address, costs no entry", () => {
  const group = new RaftGroup([1, 2, 3], [3]);
  group.elect(1);
  group.raft(1).proposeConfChange({ ...remove(3), kind: ConfChangeKind.UPDATE_ADDR });
  group.run();
  group.raft(1).proposeConfChange(remove(3));
  const { lastIndex } = group.raft(1);
  group.run();
  expect(group.raft(1)).toMatchObject({ lastIndex, commit: lastIndex, removalsFinal: true });
});

test("who leads after that makes it final with its own first entry", () => {
  const group = new RaftGroup([1, 2, 3, 4]);
  group.elect(1);
  group.arrivals = ({ kind, entries }) =>
    kind !== MessageKind.APPEND || entries.every((entry) => entry.kind === EntryKind.CONF_CHANGE);
  group.raft(1).proposeConfChange(remove(4));
  group.run();
  group.ticks(3);
  group.isolate(1);
  group.arrivals = ({ kind }) => kind !== MessageKind.APPEND;
  for (let i = 0; i < 60; i++) group.tick(2, 3);
  const leader = [2, 3].map((id) => group.raft(id)).find(({ role }) => role === "leader");
  expect(leader?.removalsFinal).toBe(false);
  group.arrivals = () => true;
  for (let i = 0; i < 12; i++) group.tick(2, 3);
  expect(leader?.removalsFinal).toBe(true);
});

test("a leader that is left alone with a full disk gives up nothing that the other was sent", () => {
  const group = new RaftGroup([1, 2]);
  group.elect(1);
  group.lost.add(MessageKind.APPEND_RESPONSE);
  group.raft(1).proposeConfChange(remove(2));
  group.run();
  group.get(1).held = true;
  group.propose(1, "sent to both");
  const { lastIndex } = group.raft(1);
  group.lost.clear();
  group.ticks(3);
  expect(group.raft(1).members).toHaveLength(1);
  group.propose(1, "sent to nobody");
  // The other could be elected yet, and commit it.
  expect(group.raft(1).dropUnwritten()).toBe(lastIndex + 1);
  expect(group.raft(1).lastIndex).toBe(lastIndex);

  group.get(1).held = false;
  group.propose(1, "with space again");
  expect(group.raft(1)).toMatchObject({ removalsFinal: true, commit: lastIndex + 1 });
});
