// Raft messages that no working member sends, as they come off the wire: each is dropped, or taken without harm.
// The sender is a manager of the swarm, or its stream would not have been let in.
import { expect, test } from "vitest";
import type { Random } from "../../common/random.js";
import { makeMessage } from "../../manager/raft/message.js";
import { chunkAt, outgoing, SnapshotAssembly } from "../../manager/raft/snapshot-chunks.js";
import {
  type EntryKind,
  HardState,
  LogFrame,
  MessageKind,
  RaftMessage,
  SnapshotChunk,
} from "../../proto/gen/raft.js";
import { fuzz } from "../fakes/mutations.js";
import { entry, member } from "../fakes/raft-cluster.js";
import { RaftGroup } from "../fakes/raft-group.js";

const members = [member(1), member(2), member(3)];
const meta = { index: 9, term: 2, conf: { members } };
const snapshot = outgoing({ meta, data: Buffer.from(JSON.stringify(["a", "b", "c"])) });
/** What members 1 and 2 say to each other: a message of each kind, in the term that the group below is in. */
const GOOD = [
  makeMessage(MessageKind.APPEND, 2, 1, 2, {
    index: 3,
    logTerm: 2,
    entries: [entry(4, 2, "d"), entry(5, 2, "e")],
    commit: 4,
  }),
  makeMessage(MessageKind.APPEND_RESPONSE, 2, 1, 2, { index: 3 }),
  makeMessage(MessageKind.APPEND_RESPONSE, 2, 1, 2, {
    index: 3,
    reject: true,
    rejectHint: 2,
    rejectTerm: 2,
  }),
  makeMessage(MessageKind.PRE_VOTE, 2, 1, 3, { index: 3, logTerm: 2 }),
  makeMessage(MessageKind.PRE_VOTE_RESPONSE, 2, 1, 3, {}),
  makeMessage(MessageKind.VOTE, 2, 1, 3, { index: 3, logTerm: 2, campaignTransfer: true }),
  makeMessage(MessageKind.VOTE_RESPONSE, 2, 1, 2, {}),
  makeMessage(MessageKind.HEARTBEAT, 2, 1, 2, { commit: 3, context: 1 }),
  makeMessage(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 2, { context: 1 }),
  makeMessage(MessageKind.SNAPSHOT, 2, 1, 2, { chunk: chunkAt(snapshot, 0) }),
  makeMessage(MessageKind.SNAPSHOT_RESPONSE, 2, 1, 2, { index: 9, context: 3 }),
  makeMessage(MessageKind.TIMEOUT_NOW, 2, 1, 2, {}),
  makeMessage(MessageKind.READ_INDEX, 2, 1, 2, { context: 4 }),
  makeMessage(MessageKind.READ_INDEX_RESPONSE, 2, 1, 2, { context: 4, index: 3 }),
].map((message) => RaftMessage.encode(message).finish());

/** What makes no message fails, and with an ordinary error: gRPC ends that stream. */
function decoded(bytes: Buffer): RaftMessage | undefined {
  try {
    return RaftMessage.decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return undefined;
  }
}

/** Member 1 of three, with "a" committed; it leads, or follows 2. */
function group(leads: boolean): RaftGroup {
  const made = new RaftGroup([1, 2, 3]);
  made.elect(leads ? 1 : 2);
  made.propose(leads ? 1 : 2, "a");
  return made;
}

// What a leader says of what is committed is believed. Where it contradicts what is known to be committed, or
// that there is another leader in its term, the manager stops rather than follow (manager/raft, the asserts).
const STOPS = /^invariant violated: (a committed entry is never replaced|a term has one leader)/;

const NUMBERS = [0, 1, 2, 3, 4, 5, 8, 9, 10, 1_000, 2 ** 32, Number.MAX_SAFE_INTEGER];

/** A good message, with other numbers in some of its fields. */
function renumbered(random: Random): RaftMessage {
  const message = RaftMessage.decode(GOOD[random.below(GOOD.length)] ?? Buffer.alloc(0));
  const other = <T extends object>(fields: T): T => {
    const changed = Object.entries(fields).map(([name, value]) => {
      if (typeof value !== "number" || random.below(4) > 0) return [name, value];
      return [name, NUMBERS[random.below(NUMBERS.length)]];
    });
    return Object.fromEntries(changed);
  };
  const { chunk, entries, kind } = message;
  return {
    ...other(message),
    kind,
    entries: entries.map((each) => ({ ...other(each), kind: each.kind })),
    chunk: chunk && {
      ...other(chunk),
      meta: chunk.meta && other(chunk.meta),
      crc32c: chunk.crc32c,
    },
  };
}

test("messages are dropped or taken; what is committed stays", async () => {
  const seen = { taken: 0, dropped: 0, stopped: 0 };
  await fuzz({ from: GOOD, count: 2_000 }, (bytes, random) => {
    const message = random.below(2) === 0 ? decoded(bytes) : renumbered(random);
    if (message === undefined) return;
    const one = group(random.below(2) === 0).raft(1);
    const commit = one.commit;
    try {
      const why = one.step({ ...message, to: 1 });
      seen[why === undefined ? "taken" : "dropped"]++;
      one.tick();
      const ready = one.ready();
      if (ready.persist !== undefined) one.advance();
      one.ready();
    } catch (error) {
      expect(String((error as Error).message)).toMatch(STOPS);
      seen.stopped++;
      return;
    }
    expect(one.commit).toBeGreaterThanOrEqual(commit);
    expect(one.lastIndex).toBeGreaterThanOrEqual(one.commit);
    if (one.firstIndex <= 2) expect(one.termAt(2)).toBe(2);
  });
  expect(seen.taken).toBeGreaterThan(500);
  expect(seen.dropped).toBeGreaterThan(50);
});

test("chunks put together give the snapshot that was cut, or none", async () => {
  const state = Buffer.from(Array.from({ length: 3_000 }, (_, i) => i & 0xff));
  const whole = outgoing({ meta, data: state });
  const cuts = [0, 1_000, 2_000].map((offset) => {
    const data = state.subarray(offset, offset + 1_000);
    return { ...chunkAt(outgoing({ meta, data }), 0), sha256: whole.sha256, offset, total: 3_000 };
  });
  const chunks = cuts.map((chunk, i) => ({ ...chunk, last: i === 2 }));
  const good = chunks.map((chunk) => SnapshotChunk.encode(chunk).finish());
  await fuzz({ from: good, count: 1_500 }, (bytes, random) => {
    const assembly = new SnapshotAssembly();
    const strange = random.below(chunks.length);
    for (const [i, chunk] of chunks.entries()) {
      let given: SnapshotChunk = chunk;
      if (i === strange) {
        try {
          given = SnapshotChunk.decode(bytes);
        } catch {
          continue;
        }
      }
      const received = assembly.receive(given);
      if (received.kind === "more") expect(received.nextOffset).toBeLessThanOrEqual(3_000);
      // A digest of its own names another snapshot; that one is then what it says it is.
      if (received.kind !== "whole" || !given.sha256.equals(whole.sha256)) continue;
      expect(received.snapshot.data.equals(state)).toBe(true);
    }
  });
});

test("chunks of nothing do not pile up", () => {
  const assembly = new SnapshotAssembly();
  const nothing = { ...chunkAt(snapshot, snapshot.data.length), offset: 0, last: false };
  expect(assembly.receive(nothing).kind).toBe("bad");
});

test("a message that says more than it may is dropped unread", () => {
  const one = group(false).raft(1);
  const append = (fields: Partial<RaftMessage>) =>
    one.step(makeMessage(MessageKind.APPEND, 2, 1, 2, { index: 3, logTerm: 2, ...fields }));
  const chunk = chunkAt(snapshot, 0);
  const strange = [
    { name: "log term later than its own", why: append({ logTerm: 3 }) },
    {
      name: "a snapshot of a later term",
      why: append({ chunk: { ...chunk, meta: { ...meta, term: 3 } } }),
    },
    {
      name: "entry of an unknown kind",
      why: append({ entries: [{ ...entry(4, 2, "d"), kind: 7 as EntryKind }] }),
    },
  ];
  for (const { name, why } of strange) expect(why, name).toBeTypeOf("string");
});

test("frames of the log and hard states, decrypted, are bounded too", async () => {
  const frame = LogFrame.encode({
    hardState: { term: 2, vote: 1, commit: 3 },
    entries: [entry(4, 2, "d")],
    snapshot: meta,
  }).finish();
  const hardState = HardState.encode({ term: 2, vote: 1, commit: 3 }).finish();
  await fuzz({ from: [frame, hardState], count: 2_000 }, (bytes) => {
    for (const decode of [LogFrame.decode, HardState.decode]) {
      try {
        decode(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
  });
});
