import { describe, expect, test } from "vitest";
import { isRefusal } from "./fault.js";
import { formatJoinToken, newJoinSecret, parseJoinToken, sameSecret } from "./join-token.js";
import { seededRandom } from "./random.js";

const DOCKERS =
  "SWMTKN-1-1keqqitns8o8u8gx4tdfzy1nj22v23lcdo13ekg3frcmzaengt-2my1v94p2830jm1kprlw6cson";

describe("a join token", () => {
  test("of Docker's form survives a round trip", () => {
    const token = parseJoinToken(DOCKERS);
    if (isRefusal(token)) throw new Error(token.message);
    expect(token.rootDigest).toHaveLength(32);
    expect(formatJoinToken(token)).toBe(DOCKERS);
  });

  const malformed = [
    { name: "empty", text: "" },
    { name: "of another kind", text: "SWMTKN-1-bad" },
    { name: "of another version", text: DOCKERS.replace("-1-", "-2-") },
    { name: "truncated", text: DOCKERS.slice(0, -1) },
    { name: "too long", text: `${DOCKERS}0` },
    { name: "with a digest above 2^256", text: DOCKERS.replace(/1keqq\w+/, "z".repeat(50)) },
    { name: "in capitals", text: DOCKERS.toUpperCase() },
  ];
  for (const { name, text } of malformed) {
    test(`that is ${name} is refused`, () => {
      const token = parseJoinToken(text);
      expect(isRefusal(token) && token.message).toBe("invalid join token");
    });
  }

  test("has a secret of 25 digits, whatever the random bytes", () => {
    const zeros = { bytes: (length: number) => new Uint8Array(length), below: () => 0 };
    expect(newJoinSecret(zeros)).toBe("0".repeat(25));
    expect(newJoinSecret(seededRandom(1))).toMatch(/^[0-9a-z]{25}$/);
  });

  test("secret compares equal only to itself, and an empty one to nothing", () => {
    expect(sameSecret("a", "a")).toBe(true);
    expect(sameSecret("a", "b")).toBe(false);
    expect(sameSecret("", "")).toBe(false);
  });
});
