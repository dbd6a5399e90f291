import { expect, test } from "vitest";
import { fuzz } from "../../test/fakes/mutations.js";
import { EMPTY_FRAME, encodeFrame, FRAME_BYTES_MAX, FrameReader } from "./raft-frames.js";

const CONTENTS = [Buffer.from("one"), Buffer.alloc(0), Buffer.alloc(700, 7), Buffer.from("two")];
const STREAM = Buffer.concat(CONTENTS.map((content) => encodeFrame(content)));

function readIn(stream: Buffer, pieceBytes: number): { frames: Buffer[]; sound: boolean } {
  const reader = new FrameReader();
  const frames: Buffer[] = [];
  for (let at = 0; at < stream.length; at += pieceBytes) {
    const piece = stream.subarray(at, at + pieceBytes);
    if (!reader.read(piece, (content) => frames.push(content))) return { frames, sound: false };
  }
  return { frames, sound: true };
}

for (const pieceBytes of [1, 3, 4, 5, 7, 100, STREAM.length]) {
  test(`frames come out as they went in, in pieces of ${pieceBytes} bytes`, () => {
    expect(readIn(STREAM, pieceBytes)).toEqual({ frames: CONTENTS, sound: true });
  });
}

test("what is cut off is not handed out", () => {
  for (const end of [1, 3, 6, 7, 10, STREAM.length - 1]) {
    const { frames, sound } = readIn(STREAM.subarray(0, end), STREAM.length);
    expect(sound).toBe(true);
    expect(frames.length).toBeLessThan(CONTENTS.length);
    expect(frames).toEqual(CONTENTS.slice(0, frames.length));
  }
});

test("a frame that is longer than any may be ends it, before anything of it is kept", () => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(FRAME_BYTES_MAX + 1);
  const after = readIn(Buffer.concat([EMPTY_FRAME, head, Buffer.from("x")]), 100);
  expect(after).toEqual({ frames: [Buffer.alloc(0)], sound: false });
});

test("any bytes are read to their end, or refused", async () => {
  await fuzz({ from: [STREAM.subarray(0, 20), STREAM], count: 500 }, (bytes, random) => {
    const whole = readIn(bytes, Math.max(1, bytes.length));
    expect(readIn(bytes, 1 + random.below(64))).toEqual(whole);
  });
});
