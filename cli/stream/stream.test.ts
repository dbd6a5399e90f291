import assert from "node:assert/strict";
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, test } from "vitest";
import { DetachWatch, parseDetachKeys } from "./detach-keys.js";
import { FrameReader } from "./frames.js";
import { jsonLines } from "./lines.js";

describe("frames", () => {
  test("come out whole, however the bytes were cut", () => {
    const stream = Buffer.from([
      1, 0, 0, 0, 0, 0, 0, 2, 65, 66, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 67,
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 6 }), (cuts) => {
        const reader = new FrameReader();
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        const text = { stdout: "", stderr: "", daemon: "" };
        places.slice(1).forEach((to, i) => {
          for (const frame of reader.push(stream.subarray(places[i], to))) {
            text[frame.stream] += Buffer.from(frame.payload).toString();
          }
        });
        assert.deepEqual(text, { stdout: "AB", stderr: "C", daemon: "" });
      }),
    );
  });
});

describe("detach keys", () => {
  const spelled: readonly (readonly [string, readonly number[]])[] = [
    ["", [16, 17]],
    ["ctrl-a", [1]],
    ["a,b", [97, 98]],
    ["ctrl-@,ctrl-[", [0, 27]],
  ];
  for (const [text, want] of spelled) {
    test(`"${text}" are ${want.join(" ")}`, () =>
      assert.deepEqual([...parseDetachKeys(text)], want));
  }
  test("of no such key are refused", () => {
    assert.throws(() => parseDetachKeys("ctrl-é"), /invalid detach keys \(ctrl-é\) provided/);
  });

  const typed: readonly (readonly [string, readonly number[][], string, boolean])[] = [
    ["pass everything else", [[1, 2, 3]], "1 2 3", false],
    ["hold back a first key until the next", [[1, 16]], "1", false],
    ["give back what was held", [[16], [5]], "16 5", false],
    [
      "detach over two reads",
      [
        [9, 16],
        [17, 9],
      ],
      "9",
      true,
    ],
    ["begin again at a repeated first key", [[16, 16, 17]], "16", true],
  ];
  for (const [name, chunks, want, detached] of typed) {
    test(name, () => {
      const watch = new DetachWatch(parseDetachKeys(""));
      const passed: number[] = [];
      let gone = false;
      for (const chunk of chunks) {
        const result = watch.push(Uint8Array.from(chunk));
        passed.push(...result.pass);
        gone ||= result.detached;
      }
      assert.equal(passed.join(" "), want);
      assert.equal(gone, detached);
    });
  }
});

test("JSON lines survive being cut inside a character", async () => {
  const bytes = Buffer.from('{"a":"é"}\n{"a":"x"}');
  const chunks = [...bytes].map((byte) => Buffer.from([byte]));
  const texts: string[] = [];
  for await (const line of jsonLines(Readable.from(chunks))) texts.push(line.text);
  assert.deepEqual(texts, ['{"a":"é"}', '{"a":"x"}']);
});
