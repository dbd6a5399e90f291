import { describe, expect, test } from "vitest";
import { findUnordered, firstWrong, type Model, type Operation } from "./linearizable.js";

type Input = { readonly write: number } | "read";
const register: Model<number, Input, number> = {
  initial: () => 0,
  step: (state, input, output) => {
    if (input !== "read") return [input.write];
    return output === undefined || output === state ? [state] : [];
  },
  nameOf: String,
};

/** "w1 0-3": writes 1 from 0 to 3; "r1 2-4": reads 1; "w1 0-": no answer. One key, unless it begins with "k:". */
function historyOf(text: string): readonly Operation<Input, number>[] {
  return text.split(", ").map((each) => {
    const [, key = "", kind, value, from, to] =
      /^(?:(\w):)?([rw])(\d+) (\d+)-(\d*)$/.exec(each) ?? [];
    const input: Input = kind === "w" ? { write: Number(value) } : "read";
    const output = kind === "w" ? 0 : Number(value);
    const returned = to === "" ? undefined : { at: Number(to), output };
    return { key: key ?? "", input, calledAt: Number(from), returned };
  });
}

const cases: readonly { name: string; history: string; ok: boolean }[] = [
  { name: "one after the other", history: "w1 0-1, r1 2-3, w2 4-5, r2 6-7", ok: true },
  { name: "a read beside a write may see it", history: "w1 0-9, r1 2-3", ok: true },
  { name: "a read beside a write may not see it yet", history: "w1 0-9, r0 2-3", ok: true },
  {
    name: "what one has seen the next does not unsee",
    history: "w1 0-9, r1 2-3, r0 4-5",
    ok: false,
  },
  { name: "a stale read", history: "w1 0-1, r0 2-3", ok: false },
  { name: "a value that nobody wrote", history: "w1 0-1, r2 2-3", ok: false },
  {
    name: "a write without an answer may be done late",
    history: "w1 0-, r0 2-3, r1 8-9",
    ok: true,
  },
  { name: "or never", history: "w1 0-, r0 2-3, r0 8-9", ok: true },
  { name: "but not undone again", history: "w1 0-, r1 2-3, r0 8-9", ok: false },
  { name: "nor before it was asked", history: "r1 0-1, w1 2-", ok: false },
  { name: "a lost write", history: "w1 0-1, w2 2-3, r1 4-5", ok: false },
  {
    name: "two writes beside each other, in either order",
    history: "w1 0-9, w2 0-9, r1 10-11",
    ok: true,
  },
  {
    name: "but for all in the same order",
    history: "w1 0-9, w2 0-9, r1 10-11, r2 12-13",
    ok: false,
  },
  {
    name: "beside both reads it may be between them",
    history: "w1 0-1, w2 2-9, r1 3-4, r2 5-6, r2 7-8",
    ok: true,
  },
  { name: "keys are independent", history: "a:w1 0-1, b:r0 2-3, a:r1 4-5", ok: true },
  {
    name: "each of them must be in order",
    history: "a:w1 0-1, b:w1 0-1, b:r0 2-3, a:r1 4-5",
    ok: false,
  },
];

describe("a history", () => {
  for (const { name, history, ok } of cases) {
    test(`is ${ok ? "linearizable" : "not linearizable"}: ${name}`, () => {
      expect(findUnordered(historyOf(history), register) === undefined).toBe(ok);
    });
  }

  test("of many calls at once is decided soon", () => {
    const writes = Array.from({ length: 12 }, (_, i) => `w${i + 1} 0-100`);
    const reads = Array.from({ length: 8 }, (_, i) => `r12 ${200 + i}-${300 + i}`);
    expect(findUnordered(historyOf([...writes, ...reads].join(", ")), register)).toBeUndefined();
    const stale = [...writes, ...reads, "r3 400-401"].join(", ");
    expect(findUnordered(historyOf(stale), register)).toHaveLength(21);
  });

  test("that is not linearizable is so from one answer on", () => {
    const history = historyOf("w1 0-9, r1 2-3, w2 4-5, r2 6-7, r1 10-11, r2 12-13, r1 14-15");
    expect(firstWrong(history, register)).toBe(history[4]);
  });

  test("of many calls that nobody answered is decided soon", () => {
    const lost = Array.from({ length: 40 }, (_, i) => `r0 ${i}-, w1 ${i}-`);
    expect(findUnordered(historyOf([...lost, "w2 50-51, r2 52-53"].join(", ")), register)).toBe(
      undefined,
    );
  });
});
