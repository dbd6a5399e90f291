import { describe, expect, test } from "vitest";
import { findOne, NETWORK_WORDS, NODE_WORDS } from "./find.js";

const all = [
  { id: "abc1", names: ["web"] },
  { id: "abd2", names: ["db"] },
  { id: "xyz3", names: ["twin", "abc1x"] },
  { id: "xyw4", names: ["twin"] },
];
const find = (ref: string, words = NETWORK_WORDS) => findOne(ref, all, (each) => each, words).id;

describe("who is meant by", () => {
  const cases = [
    ["an id", "abc1", "abc1"],
    ["a name", "db", "abd2"],
    ["the beginning of one id", "abd", "abd2"],
  ] as const;
  for (const [name, ref, want] of cases) test(name, () => expect(find(ref)).toBe(want));
});

describe("refused is", () => {
  const cases = [
    ["a name of two", "twin", "network twin is ambiguous (2 matches found based on name)"],
    ["a beginning of two", "ab", "network ab is ambiguous (2 matches found based on ID prefix)"],
    ["what is not there", "nosuch", "network nosuch not found"],
    ["nothing", "", "network  not found"],
  ] as const;
  for (const [name, ref, says] of cases) test(name, () => expect(() => find(ref)).toThrow(says));
  test("a node, in a node's words", () => {
    expect(() => find("twin", NODE_WORDS)).toThrow("node twin is ambiguous (2 matches found)");
  });
});
