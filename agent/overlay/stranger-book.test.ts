import { expect, test } from "vitest";
import { ipToBytes, parseIp } from "../../common/address.js";
import { NOTED_MS, STRANGERS_MAX, StrangerBook, StrangerNotes } from "./stranger-book.js";

function addresses(...texts: readonly string[]): DataView {
  const bytes = texts.map((text) => {
    const ip = parseIp(text);
    if (ip === undefined) throw new Error(text);
    return Buffer.concat([ipToBytes(ip), Buffer.alloc(16)]).subarray(0, 16);
  });
  const all = new Uint8Array(Buffer.concat(bytes));
  return new DataView(all.buffer);
}

test("each source and VNI is counted for itself, of both families", () => {
  const book = new StrangerBook();
  const notes = new StrangerNotes(book.shared);
  const from = addresses("192.0.2.9", "2001:db8::9");
  for (let i = 0; i < 3; i++) notes.note("not-a-peer", 4097, from, 0, 4);
  notes.note("not-a-peer", 4098, from, 0, 4);
  notes.note("unknown-vni", 4242, from, 16, 16);
  expect(book.read(0)).toEqual([
    { reason: "not-a-peer", address: "192.0.2.9", vni: 4097, frames: 3 },
    { reason: "not-a-peer", address: "192.0.2.9", vni: 4098, frames: 1 },
    { reason: "unknown-vni", address: "2001:db8::9", vni: 4242, frames: 1 },
  ]);
});

test("a crowd is noted as far as there is room, and who is quiet makes room", () => {
  const book = new StrangerBook();
  const notes = new StrangerNotes(book.shared);
  const from = addresses("192.0.2.9");
  for (let vni = 0; vni < STRANGERS_MAX + 5; vni++) notes.note("unknown-vni", vni, from, 0, 4);
  expect(book.read(0)).toHaveLength(STRANGERS_MAX);
  notes.note("unknown-vni", 7, from, 0, 4);
  expect(book.read(NOTED_MS - 1)).toHaveLength(STRANGERS_MAX);
  expect(book.read(NOTED_MS)).toEqual([
    { reason: "unknown-vni", address: "192.0.2.9", vni: 7, frames: 2 },
  ]);
  notes.note("not-a-peer", 4097, from, 0, 4);
  expect(book.read(NOTED_MS)).toContainEqual({
    ...{ reason: "not-a-peer", address: "192.0.2.9", vni: 4097, frames: 1 },
  });
});
