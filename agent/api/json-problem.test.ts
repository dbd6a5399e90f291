import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonProblem } from "./json-problem.js";

// What Go 1.19's encoding/json says of each.
const cases: readonly (readonly [text: string, says: string])[] = [
  ["{bad", "invalid character 'b' looking for beginning of object key string"],
  ["", "unexpected end of JSON input"],
  ["{", "unexpected end of JSON input"],
  ['{"a"', "unexpected end of JSON input"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
  ["[1 2]", "invalid character '2' after array element"],
  ["nope", "invalid character 'o' in literal null (expecting 'u')"],
  ["x", "invalid character 'x' looking for beginning of value"],
  ["{} x", "invalid character 'x' after top-level value"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\q"', "invalid character 'q' in string escape code"],
  ["'", "invalid character '\\'' looking for beginning of value"],
];

describe("a text that is no JSON is refused in Go's words", () => {
  for (const [text, says] of cases) {
    test(JSON.stringify(text), () => expect(jsonProblem(text)).toBe(says));
  }
});

test("any text gets a sentence, and never an exception", () => {
  fc.assert(fc.property(fc.string(), (text) => jsonProblem(text).length > 0));
});
