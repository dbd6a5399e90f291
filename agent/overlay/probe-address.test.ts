import { expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { probeMac } from "./probe-address.js";

function ip(text: string) {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

test("of an IPv4 VTEP a person can read it", () => {
  expect(probeMac(ip("192.168.33.11"))).toBe("02:50:c0:a8:21:0b");
});

test("IPv6 VTEPs that end alike have different ones", () => {
  const vteps = ["2001:db8:1::1", "2001:db8:2::1", "fd00::1", "192.168.33.11"].map(ip);
  expect(new Set(vteps.map(probeMac)).size).toBe(vteps.length);
});
