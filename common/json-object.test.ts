import { expect, test } from "vitest";
import { jsonObject } from "./json-object.js";

test("an object is read, with whatever is in it", () => {
  expect(jsonObject('{"format":1,"list":[{"a":null}]}')).toEqual({
    format: 1,
    list: [{ a: null }],
  });
});

for (const text of ["", "{", '{"a":1', "null", "7", '"a"', "[]", '[{"a":1}]', "\u0000"]) {
  test(`${JSON.stringify(text)} is none`, () => {
    expect(jsonObject(text)).toBeUndefined();
  });
}
