import { describe, expect, test } from "vitest";
import {
  decodeInfo,
  entriesRequest,
  INFO_BYTES,
  infoRequest,
  policyDrops,
} from "./legacy-tables.js";

// `iptables-legacy -P FORWARD …` on Linux 6.18 (x86_64): three chains of a policy each, and an error entry.
const ENTRY_BYTES = 152;
const FORWARD = 2;

function info(more: { hooks?: number; size?: number; policyAt?: number } = {}): Buffer {
  const bytes = infoRequest("filter");
  bytes.writeUInt32LE(more.hooks ?? 0b01110, 32);
  bytes.writeUInt32LE(more.policyAt ?? ENTRY_BYTES, 32 + 4 * (1 + 5 + FORWARD));
  bytes.writeUInt32LE(4, INFO_BYTES - 8);
  bytes.writeUInt32LE(more.size ?? 4 * ENTRY_BYTES, INFO_BYTES - 4);
  return bytes;
}

describe("the policy of iptables-legacy's FORWARD", () => {
  const cases = [
    { name: "drop", verdict: -1, drops: true },
    { name: "accept", verdict: -2, drops: false },
  ];
  test.each(cases)("$name", ({ verdict, drops }) => {
    const found = decodeInfo(info());
    if (found === undefined) throw new Error("not read");
    const entries = entriesRequest("filter", found);
    expect(entries.length).toBe(40 + 4 * ENTRY_BYTES);
    const entry = 40 + ENTRY_BYTES;
    entries.writeUInt16LE(112, entry + 84 + 4);
    entries.writeInt32LE(verdict, entry + 112 + 32);
    expect(policyDrops(entries, found, 4)).toBe(drops);
    for (let length = 0; length < entry + 112 + 32 + 4; length++) {
      expect(policyDrops(entries.subarray(0, length), found, 4)).toBe(false);
    }
  });

  const unread: readonly [string, Buffer][] = [
    ["a table without FORWARD", info({ hooks: 0b00001 })],
    ["a table that is too large", info({ size: 17 * 1024 * 1024 })],
    ["a policy outside of the table", info({ policyAt: 4 * ENTRY_BYTES })],
    ["half an answer", info().subarray(0, INFO_BYTES - 1)],
  ];
  test.each(unread)("not read: %s", (_name, bytes) => {
    expect(decodeInfo(bytes)).toBeUndefined();
  });
});
