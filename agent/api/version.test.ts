import { describe, expect, test } from "vitest";
import { splitVersion } from "./version.js";

describe("the version in a path", () => {
  const cases = [
    ["/info", { version: 50, path: "/info" }],
    ["/v1.40/info", { version: 40, path: "/info" }],
    ["/v1.50/networks/a", { version: 50, path: "/networks/a" }],
    ["/v1.50", { version: 50, path: "/v1.50" }],
    ["/vx/info", { version: 50, path: "/vx/info" }],
  ] as const;
  for (const [path, want] of cases) test(path, () => expect(splitVersion(path)).toEqual(want));
});

describe("one that is not spoken is refused in dockerd's words", () => {
  const old = (asked: string) =>
    `client version ${asked} is too old. Minimum supported API version is 1.40, please upgrade your client to a newer version`;
  const fresh = (asked: string) =>
    `client version ${asked} is too new. Maximum supported API version is 1.50`;
  const cases = [
    ["/v1.11/info", old("1.11"), true],
    ["/v1.39/info", old("1.39"), false],
    ["/v1.51/info", fresh("1.51"), false],
    ["/v2.0/info", fresh("2.0"), false],
    ["/v0.9/info", old("0.9"), true],
  ] as const;
  for (const [path, message, plainText] of cases) {
    test(path, () => {
      expect(() => splitVersion(path)).toThrow(expect.objectContaining({ message, plainText }));
    });
  }
});
