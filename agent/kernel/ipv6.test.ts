import { expect, test } from "vitest";
import { kernelFamilies, mustHave } from "./ipv6.js";

test("a kernel without IPv6 takes what has none, and says what it cannot have", () => {
  expect(kernelFamilies(false)).toEqual([4]);
  mustHave([4, 4], false);
  expect(() => mustHave([4, 6], false)).toThrow(/has no IPv6 .*a network with IPv6 addresses/);
});

test("any other takes both", () => {
  expect(kernelFamilies(true)).toEqual([4, 6]);
  mustHave([4, 6], true);
});
