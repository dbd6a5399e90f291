import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  flagFilter,
  lacksLabels,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  mustBeOneOf,
  parseFilters,
} from "./filters.js";

const KEYS = ["label", "name", "dangling"];
const parse = (value: unknown) => parseFilters(JSON.stringify(value), KEYS);

test("both forms of a filter mean the same", () => {
  expect(parse({ name: ["a", "b"] })).toEqual(parse({ name: { a: true, b: true } }));
});

describe("refused is", () => {
  const cases = [
    ["an unknown key", '{"color":["red"]}', "Invalid filter 'color'"],
    ["what is no JSON", "{bad", "invalid character 'b' looking for beginning of object key string"],
    ["what is no object", "[]", "invalid filter: it must be a JSON object"],
    [
      "a value that is no list",
      '{"name":1}',
      "invalid filter: the values must be a list of strings",
    ],
  ] as const;
  for (const [name, text, says] of cases) {
    test(name, () => expect(() => parseFilters(text, KEYS)).toThrow(says));
  }
});

test("a label is there by key, or by key and value; all of them must be", () => {
  const labels = { tier: "db", zone: "a=b" };
  expect(matchesLabels(parse({ label: ["tier", "zone=a=b"] }), "label", labels)).toBe(true);
  expect(matchesLabels(parse({ label: ["tier=web"] }), "label", labels)).toBe(false);
  expect(matchesLabels(parse({ label: ["tier", "ssd"] }), "label", labels)).toBe(false);
  expect(matchesLabels(parse({ label: ["toString"] }), "label", labels)).toBe(false);
  expect(lacksLabels(parse({ label: ["ssd"] }), "label", labels)).toBe(true);
});

test("a name is found as text or by a regular expression", () => {
  expect(matchesPattern(parse({ name: ["over"] }), "name", "overnet")).toBe(true);
  expect(matchesPattern(parse({ name: ["^over.*t$"] }), "name", "overnet")).toBe(true);
  expect(matchesPattern(parse({ name: ["^net"] }), "name", "overnet")).toBe(false);
  expect(matchesExactly(parse({ name: ["over"] }), "name", "overnet")).toBe(false);
});

test("an expression that would take for ever is text", () => {
  const filters = parse({ name: ["^(a+)+$"] });
  expect(matchesPattern(filters, "name", `${"a".repeat(60)}!`)).toBe(false);
});

test("a flag is one of four words", () => {
  expect(flagFilter(parse({ dangling: ["true"] }), "dangling")).toBe(true);
  expect(flagFilter(parse({ dangling: ["0"] }), "dangling")).toBe(false);
  expect(flagFilter(parse({}), "dangling")).toBeUndefined();
  expect(() => flagFilter(parse({ dangling: ["maybe"] }), "dangling")).toThrow(
    "Invalid filter 'dangling=[maybe]'",
  );
});

test("any text is a filter or an HTTP error", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      try {
        parseFilters(text, KEYS);
      } catch (error) {
        expect(error).toMatchObject({ name: "HttpError", status: 400 });
      }
    }),
  );
});

test("a value that can never match is refused", () => {
  const filters = parseFilters('{"role":["boss"]}', ["role"]);
  expect(() => mustBeOneOf(filters, "role", ["worker"], (role) => `no ${role}`)).toThrow("no boss");
});
