import { expect, test } from "vitest";
import { isRefusal } from "./fault.js";
import { systemRandom } from "./random.js";
import { formatUnlockKey, newUnlockKey, parseUnlockKey } from "./unlock-key.js";

test("a key comes back from its text, in Docker's form", () => {
  const key = newUnlockKey(systemRandom);
  const text = formatUnlockKey(key);
  expect(text).toMatch(/^SWMKEY-1-[A-Za-z0-9+/]{43}$/);
  expect(parseUnlockKey(`${text}\n`)).toEqual(key);
  expect(formatUnlockKey(new Uint8Array())).toBe("");
});

// Of a recorded swarm (dockerd 20.10).
test("a key that Docker made is one", () => {
  const text = "SWMKEY-1-HcowJ5tW8GdHE+Mh1RRIp4s3fQHXkkqZRfSgu+NWT20";
  const key = parseUnlockKey(text);
  expect(!isRefusal(key) && formatUnlockKey(key)).toBe(text);
});

for (const text of ["", "x", "SWMKEY-1-", "SWMTKN-1-abc", "SWMKEY-1-a=b"]) {
  test(`"${text}" is no key`, () =>
    expect(parseUnlockKey(text)).toMatchObject({ message: "invalid key string" }));
}
