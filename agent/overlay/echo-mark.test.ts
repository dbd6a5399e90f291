import { expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { answerIn, ECHO_MARK_BYTES, identifierOf, markedData } from "./echo-mark.js";
import { encodeEcho } from "./icmp.js";

const TOKEN = Buffer.from([0x12, 0x34, 3, 4, 5, 6, 7, 8]);
const MARK = { target: 7, number: 70_000 };

/** What a raw ICMPv6 socket gets when the peer has answered. */
function replyTo(data: Uint8Array, identifier = identifierOf(TOKEN)): Buffer {
  const reply = encodeEcho(6, identifier, 0, data);
  reply[0] = 129;
  return reply;
}

test("a reply tells which request it is about, and how large that was", () => {
  const reply = replyTo(markedData(TOKEN, MARK, 900));
  expect(answerIn(6, reply, TOKEN)).toEqual({ kind: "reply", ...MARK, dataBytes: 900 });
});

test("a request is never too small for its mark", () => {
  expect(markedData(TOKEN, MARK, 0)).toHaveLength(ECHO_MARK_BYTES);
});

test("a reply to another call's request is none, even if that has the same identifier", () => {
  const other = Buffer.from([0x12, 0x34, 9, 9, 9, 9, 9, 9]);
  expect(answerIn(6, replyTo(markedData(other, MARK, 900)), TOKEN)).toBeUndefined();
  expect(answerIn(6, replyTo(markedData(TOKEN, MARK, 900), 5), TOKEN)).toBeUndefined();
});

test("a reply cut anywhere in its mark is none", () => {
  const whole = replyTo(markedData(TOKEN, MARK, 0));
  for (let length = 0; length < whole.length; length++) {
    expect(answerIn(6, whole.subarray(0, length), TOKEN)).toBeUndefined();
  }
});

test("an error tells the address and the MTU, for it has no more of the request than its head", () => {
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  ip.set([10, 0, 1, 9], 16);
  const needed = Buffer.from([3, 4, 0, 0, 0, 0, 0x05, 0x78]);
  const echo = encodeEcho(4, identifierOf(TOKEN), 0, new Uint8Array(0));
  expect(answerIn(4, Buffer.concat([ip, needed, ip, echo]), TOKEN)).toEqual({
    kind: "error",
    to: parseIp("10.0.1.9"),
    mtuBytes: 1400,
  });
});
