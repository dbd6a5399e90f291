import { expect, test } from "vitest";
import { formatPrefix } from "../../common/address.js";
import type { IpsecPolicy } from "../overlay/ipsec.js";
import { eachMessage } from "./message.js";
import { decodePolicy } from "./xfrm.js";

// Dumps of policies as Linux 6.18 sent them.
const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ""), "hex");

/** `ip xfrm policy add src 192.0.2.1 dst 192.0.2.0/24 proto udp dport 4789 dir out tmpl proto esp mode transport`. */
const OUT = bytes(`
  08010000130002000100000029110000c0000200000000000000000000000000c0000201000000000000000000000000
  12b5ffff0000000002001820110000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffff
  ffffffffffffffff00000000000000000000000000000000000000000000000000000000000000000000000000000000
  00000000000000008e10026b000000000000000000000000000000000100000001000000000000004400050000000000
  000000000000000000000000000000003200000002000000000000000000000000000000000000000000000000000000
  ffffffffffffffffffffffff0a0010000000000000000000
`);
/** `… src 2001:db8::/32 dst 2001:db8::2 dir in tmpl proto esp mode transport`. */
const IN = bytes(`
  0801000013000200010000005311000020010db800000000000000000000000220010db8000000000000000000000000
  00000000000000000a008020000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffff
  ffffffffffffffff00000000000000000000000000000000000000000000000000000000000000000000000000000000
  00000000000000008e10026b000000000000000000000000000000000800000000000000000000004400050000000000
  00000000000000000000000000000000320000000a000000000000000000000000000000000000000000000000000000
  ffffffffffffffffffffffff0a0010000000000000000000
`);
/** The same with `if_id 7`. */
const OF_INTERFACE = bytes(`
  1001000013000200010000004011000020010db800000000000000000000000220010db8000000000000000000000000
  00000000000000000a008020000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffff
  ffffffffffffffff00000000000000000000000000000000000000000000000000000000000000000000000000000000
  00000000000000008e10026b000000000000000000000000000000000800000000000000000000004400050000000000
  00000000000000000000000000000000320000000a000000000000000000000000000000000000000000000000000000
  ffffffffffffffffffffffff0a001000000000000000000008001f0007000000
`);

function decoded(message: Buffer): IpsecPolicy | undefined {
  let found: IpsecPolicy | undefined;
  eachMessage(message, message.length, (each) => {
    found = decodePolicy(each);
  });
  return found;
}

test.each([
  [OUT, "out 192.0.2.1/32 192.0.2.0/24 17"],
  [IN, "in 2001:db8::/32 2001:db8::2/128 0"],
])("a policy has a direction, two prefixes and a protocol", (message, want) => {
  const found = decoded(message);
  if (found === undefined) throw new Error("not decoded");
  const { direction, source, destination, protocol } = found;
  const prefixes = `${formatPrefix(source)} ${formatPrefix(destination)}`;
  expect(`${direction} ${prefixes} ${protocol}`).toBe(want);
});

test("one of an interface is for what is routed there", () => {
  expect(decoded(OF_INTERFACE)).toBeUndefined();
});

test("what is cut short is none", () => {
  for (let length = 16; length < 16 + 168; length++) {
    const cut = Buffer.from(OUT.subarray(0, length));
    cut.writeUInt32LE(length, 0);
    expect(decoded(cut)).toBeUndefined();
  }
});
