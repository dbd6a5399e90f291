import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { familiarText, fullText, parseReference, parseTagged } from "./reference.js";

const HEX = "0123456789abcdef".repeat(4);

describe("what a person writes, in full and as Docker shows it", () => {
  const cases: readonly [string, string, string][] = [
    ["alpine", "docker.io/library/alpine", "alpine"],
    ["alpine:3.19", "docker.io/library/alpine:3.19", "alpine:3.19"],
    ["library/alpine", "docker.io/library/alpine", "alpine"],
    ["docker.io/alpine", "docker.io/library/alpine", "alpine"],
    ["index.docker.io/alpine", "docker.io/library/alpine", "alpine"],
    ["user/app", "docker.io/user/app", "user/app"],
    ["docker.io/library/user/app", "docker.io/library/user/app", "library/user/app"],
    ["localhost/app", "localhost/app", "localhost/app"],
    ["localhost:5000/a/b__c:1", "localhost:5000/a/b__c:1", "localhost:5000/a/b__c:1"],
    ["[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"],
    ["Example.com/app", "Example.com/app", "Example.com/app"],
    ["UPPER/app", "UPPER/app", "UPPER/app"],
    [`alpine@sha256:${HEX}`, `docker.io/library/alpine@sha256:${HEX}`, `alpine@sha256:${HEX}`],
    [`a:1@sha256:${HEX}`, `docker.io/library/a:1@sha256:${HEX}`, `a:1@sha256:${HEX}`],
  ];
  for (const [written, full, familiar] of cases) {
    test(written, () => {
      const reference = parseReference(written);
      if (isRefusal(reference)) throw new Error(reference.message);
      expect(fullText(reference)).toBe(full);
      expect(familiarText(reference)).toBe(familiar);
    });
  }
});

describe("what cannot be a name", () => {
  const format = "invalid reference format";
  const cases: readonly [string, string][] = [
    ["", format],
    [":latest", format],
    ["a//b", format],
    ["-a", format],
    ["a:", format],
    ["a@", format],
    ["a b", format],
    ["a___b", format],
    ["https://example.com/a", format],
    [`a:${"x".repeat(129)}`, format],
    ["ALPINE", "invalid reference format: repository name (library/ALPINE) must be lowercase"],
    ["x.y/Foo:1", "invalid reference format: repository name (Foo) must be lowercase"],
    [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
    [`a@md5:${HEX}`, "unsupported digest algorithm"],
    [`a@sha256:${HEX.slice(1)}`, "invalid checksum digest length"],
    [`a@sha256:${HEX.toUpperCase()}`, "invalid checksum digest format"],
    ["a".repeat(256), "repository name must not be more than 255 characters"],
  ];
  for (const [written, sentence] of cases) {
    test(written || "nothing", () => {
      expect(parseReference(written)).toMatchObject({ kind: "refusal", message: sentence });
    });
  }
});

test("a name without a tag is the latest; one with a digest is not", () => {
  expect(parseTagged("alpine")).toMatchObject({ tag: "latest" });
  expect(parseTagged(`alpine@sha256:${HEX}`)).toMatchObject({ tag: "" });
});

test("whatever is accepted means the same when it is read again, in full or short", () => {
  const text = fc.stringMatching(/^[a-zA-Z0-9.:/@_[\]-]{0,40}$/);
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (written) => {
      const reference = parseReference(written);
      if (isRefusal(reference)) return;
      expect(parseReference(fullText(reference))).toEqual(reference);
      expect(parseReference(familiarText(reference))).toEqual(reference);
    }),
    { numRuns: 2_000 },
  );
});
