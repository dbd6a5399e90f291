import fc from "fast-check";
import { expect, test } from "vitest";
import { checksum, decodeIcmp, encodeEcho } from "./icmp.js";

test("RFC 1071 section 3: the sum of its example, complemented", () => {
  const bytes = Uint8Array.from([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
  expect(checksum(bytes)).toBe(~0xddf2 & 0xffff);
});

test("a packet with its checksum sums to zero", () => {
  expect(checksum(encodeEcho(4, 7, 9, Buffer.from("overlays!")))).toBe(0);
});

test("an echo reply gives back identifier and data", () => {
  const reply = encodeEcho(6, 0x1234, 1, Buffer.from("data"));
  reply[0] = 129;
  expect(decodeIcmp(6, reply)).toEqual({
    kind: "reply",
    identifier: 0x1234,
    data: Buffer.from("data"),
  });
});

test("an unreachable names the identifier and address of the request that it is about", () => {
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  const inner = Buffer.from(ip);
  inner.set([10, 0, 1, 9], 16);
  const unreachable = Buffer.concat([
    ip,
    Buffer.from([3, 1, 0, 0, 0, 0, 0, 0]),
    inner,
    encodeEcho(4, 77, 0, new Uint8Array(0)),
  ]);
  expect(decodeIcmp(4, unreachable)).toEqual({
    kind: "error",
    identifier: 77,
    to: Buffer.from([10, 0, 1, 9]),
    mtuBytes: undefined,
  });
});

test("fragmentation needed and packet too big name the MTU of the smaller link", () => {
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  const echo = encodeEcho(4, 77, 0, new Uint8Array(0));
  const needed = Buffer.from([3, 4, 0, 0, 0, 0, 0x05, 0x78]);
  expect(decodeIcmp(4, Buffer.concat([ip, needed, ip, echo]))).toMatchObject({
    kind: "error",
    mtuBytes: 1400,
  });
  const tooBig = Buffer.from([2, 0, 0, 0, 0, 0, 0x05, 0x00]);
  const request = encodeEcho(6, 78, 0, new Uint8Array(0));
  expect(decodeIcmp(6, Buffer.concat([tooBig, Buffer.alloc(40), request]))).toMatchObject({
    kind: "error",
    identifier: 78,
    mtuBytes: 1280,
  });
});

test("no bytes make decoding throw", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<4 | 6>(4, 6),
      fc.uint8Array({ maxLength: 120 }),
      (family, bytes) => {
        decodeIcmp(family, Buffer.from(bytes));
      },
    ),
  );
});
