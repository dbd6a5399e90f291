import { expect, test } from "vitest";
import { CHUNK_BYTES_MAX } from "./limits.js";
import {
  chunkAt,
  type OutgoingSnapshot,
  outgoing,
  type Received,
  SnapshotAssembly,
} from "./snapshot-chunks.js";

const meta = { index: 7, term: 2, conf: { members: [] } };
const of = (letter: string, chunks = 3) =>
  outgoing({ meta, data: Buffer.alloc(chunks * CHUNK_BYTES_MAX - 5, letter) });

/** Feeds chunks as they are asked for, from `offset`. */
function fill(assembly: SnapshotAssembly, snapshot: OutgoingSnapshot, offset = 0, chunks = 9) {
  let last = assembly.receive(chunkAt(snapshot, offset));
  for (let i = 1; i < chunks && last.kind === "more"; i++) {
    last = assembly.receive(chunkAt(snapshot, last.nextOffset));
  }
  return last;
}

const isWhole = (received: Received, { data }: OutgoingSnapshot) =>
  received.kind === "whole" && received.snapshot.data.equals(data);

test("what is cut is put together again", () => {
  const snapshot = of("a");
  const whole = fill(new SnapshotAssembly(), snapshot);
  expect(isWhole(whole, snapshot)).toBe(true);
});

test("an empty one is one chunk", () => {
  const whole = new SnapshotAssembly().receive(
    chunkAt(outgoing({ meta, data: Buffer.alloc(0) }), 0),
  );
  expect(whole.kind).toBe("whole");
});

test("repeated chunks, and those that come too early, are answered with what is missing", () => {
  const assembly = new SnapshotAssembly();
  const snapshot = of("a");
  expect(fill(assembly, snapshot, 0, 2)).toEqual({ kind: "more", nextOffset: 2 * CHUNK_BYTES_MAX });
  expect(assembly.receive(chunkAt(snapshot, 0))).toEqual({
    kind: "more",
    nextOffset: 2 * CHUNK_BYTES_MAX,
  });
  expect(fill(assembly, snapshot, 0).kind).toBe("whole");
});

test("two encodings of the same position are never mixed", () => {
  const assembly = new SnapshotAssembly();
  fill(assembly, of("a"), 0, 2);
  const other = of("b");
  const next = assembly.receive(chunkAt(other, 2 * CHUNK_BYTES_MAX));
  expect(next).toEqual({ kind: "more", nextOffset: 0 });
  expect(isWhole(fill(assembly, other), other)).toBe(true);
});

test("a chunk that does not match its checksum, or has no digest, is not taken", () => {
  const chunk = chunkAt(of("a", 1), 0);
  const damaged = [
    { ...chunk, crc32c: chunk.crc32c ^ 1 },
    { ...chunk, sha256: Buffer.alloc(0) },
    { ...chunk, total: 3 },
  ];
  for (const each of damaged) expect(new SnapshotAssembly().receive(each).kind).toBe("bad");
});

test("a whole that does not match its digest is thrown away, and begun anew", () => {
  const assembly = new SnapshotAssembly();
  const wrong = { ...of("a"), sha256: Buffer.alloc(32, 1) };
  expect(fill(assembly, wrong, 0, 3)).toEqual({ kind: "more", nextOffset: 0 });
});
