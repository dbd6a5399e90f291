import { expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type IpsecPolicy, isUnderIpsec } from "./ipsec.js";

const OWN = "192.0.2.1";
const PEER = "192.0.2.2";
const policy = (
  direction: IpsecPolicy["direction"],
  source: string,
  destination: string,
  protocol = 0,
): IpsecPolicy => ({
  direction,
  source: parsePrefix(source) as Prefix,
  destination: parsePrefix(destination) as Prefix,
  protocol,
});

const cases: readonly [string, IpsecPolicy, boolean][] = [
  ["what is sent to the peer", policy("out", `${OWN}/32`, `${PEER}/32`), true],
  ["what comes from it", policy("in", `${PEER}/32`, `${OWN}/32`), true],
  ["all of UDP", policy("out", "0.0.0.0/0", "0.0.0.0/0", 17), true],
  ["all of TCP", policy("out", "0.0.0.0/0", "0.0.0.0/0", 6), false],
  ["another peer", policy("out", `${OWN}/32`, "192.0.2.3/32"), false],
  ["the other direction of another's", policy("in", `${OWN}/32`, `${PEER}/32`), false],
  ["what is forwarded", policy("forward", "0.0.0.0/0", "0.0.0.0/0"), false],
  ["the other family", policy("out", "::/0", "::/0"), false],
];

test.each(cases)("%s", (_name, each, want) => {
  expect(isUnderIpsec([each], parseIp(OWN) as Ip, parseIp(PEER) as Ip)).toBe(want);
});
