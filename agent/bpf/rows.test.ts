// Rows as bytes: the layouts and the order of reasons are those of the C next door, which is read here.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { COUNTERS_BYTES, countsOf, isCarried, REASONS } from "./reasons.js";
import {
  addressBytes,
  localValue,
  macKey,
  networkValue,
  remoteValue,
  vniKey,
  vniOfKey,
} from "./rows.js";

const tables = readFileSync(new URL("../kernel/bpf/tables.h", import.meta.url), "utf8");
const hex = (bytes: string) => Buffer.from(bytes, "latin1").toString("hex");
const ip = (text: string) => parseIp(text) ?? { family: 4 as const, value: 0n };

describe("rows", () => {
  test("a key is the VNI, then the MAC, so that two networks never share one", () => {
    expect(hex(macKey(4097, "02:42:0a:00:01:02"))).toBe("0110000002420a0001020000");
    expect(hex(vniKey(4097))).toBe("01100000");
    expect(vniOfKey(vniKey(0xffffff))).toBe(0xffffff);
  });
  test("an address of either family has 16 bytes", () => {
    expect(hex(addressBytes(ip("192.168.33.11")))).toBe("00000000000000000000ffffc0a8210b");
    expect(hex(addressBytes(ip("fd00::1")))).toBe("fd000000000000000000000000000001");
  });
  test("a network", () => {
    expect(hex(networkValue({ port: 4789 }))).toBe("12b50000");
  });
  test("an endpoint of this node, with its addresses in network byte order", () => {
    const ips = [ip("10.0.1.2"), ip("fd00::2")];
    const vtep = ip("192.168.33.10");
    const network = { vtep, near: 5, far: 6, port: 4789, sourcePorts: [32768, 60999] } as const;
    const value = localValue({ port: 4, maySendAsAnybody: false, forwards: true, ips, network });
    expect(hex(value)).toBe(
      [
        "0400000002000000",
        "0500000006000000",
        "00000000000000000000ffffc0a8210a",
        "12b50080486e0000",
        "0a00010200000000",
        `fd00${"00".repeat(13)}02${"00".repeat(16)}`,
      ].join(""),
    );
  });
  test("an endpoint of another node, with the way there if it is known", () => {
    const [nextHopMac, sourceMac] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
    const vtep = ip("192.168.33.11");
    const value = remoteValue(vtep, { ifindex: 2, mtuBytes: 1500, nextHopMac, sourceMac });
    const address = "00000000000000000000ffffc0a8210b";
    expect(hex(value)).toBe(`${address}02000000dc050000020000000001020000000002`);
    expect(hex(remoteValue(vtep, undefined))).toBe(address + "00".repeat(20));
  });
});

describe("what the programs count", () => {
  test("has the same reasons in the same order as the C", () => {
    const [, body = ""] = /enum reason \{([^}]*)\}/.exec(tables) ?? [];
    const inC = [...body.matchAll(/^\s*([A-Z0-9_]+),/gm)]
      .map(([, name = ""]) =>
        name
          .replace(/^PASSED_/, "")
          .toLowerCase()
          .replaceAll("_", "-"),
      )
      .filter((name) => name !== "reasons");
    expect(inC).toEqual([...REASONS]);
  });
  test("is summed over the CPUs", () => {
    const value = Buffer.alloc(2 * COUNTERS_BYTES);
    value.writeBigUInt64LE(3n, 0);
    value.writeBigUInt64LE(4n, COUNTERS_BYTES);
    value.writeBigUInt64LE(500n, 8 * REASONS.length);
    const counts = countsOf(value.toString("latin1"));
    expect(counts.sent).toEqual({ frames: 7, bytes: 500 });
    expect(counts["wrong-peer"]).toEqual({ frames: 0, bytes: 0 });
  });
  test("tells what was carried from what was passed on", () => {
    expect(REASONS.filter(isCarried)).toEqual(["sent", "sent-here", "received"]);
  });
});
