import fc from "fast-check";
import { expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { decodePeerEcho, encodePeerEcho, PEER_ECHO_MAX_BYTES } from "./peer-echo.js";

const TOKEN = Buffer.from("ourtoken");

function ip(text: string) {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** As a raw socket has it. */
function received(family: 4 | 6, icmp: Buffer): Buffer {
  if (family === 6) return icmp;
  return Buffer.concat([Buffer.from([0x45]), Buffer.alloc(19), icmp]);
}

const CASES = [
  { family: 4, sender: ip("192.0.2.1"), target: ip("192.0.2.2"), reply: 0 },
  { family: 6, sender: ip("2001:db8::1"), target: ip("2001:db8::2"), reply: 129 },
] as const;

for (const { family, sender, target, reply } of CASES) {
  test(`IPv${family}: what was asked is read where it comes, and its answer where it comes back`, () => {
    const packet = encodePeerEcho(TOKEN, 7, sender, target);
    const want = { token: TOKEN, round: 7, sender, target };
    expect(decodePeerEcho(family, received(family, packet))).toEqual({ kind: "request", ...want });
    packet[0] = reply;
    expect(decodePeerEcho(family, received(family, packet))).toEqual({ kind: "reply", ...want });
    expect(received(family, packet).length).toBeLessThanOrEqual(PEER_ECHO_MAX_BYTES);
  });

  test(`IPv${family}: one that is cut at any byte, or has one too many, is none`, () => {
    const whole = received(family, encodePeerEcho(TOKEN, 7, sender, target));
    for (let length = 0; length < whole.length; length++) {
      expect(decodePeerEcho(family, whole.subarray(0, length))).toBeUndefined();
    }
    expect(decodePeerEcho(family, Buffer.concat([whole, Buffer.alloc(1)]))).toBeUndefined();
  });
}

test("no bytes make decoding throw", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<4 | 6>(4, 6),
      fc.uint8Array({ maxLength: 120 }),
      (family, bytes) => {
        decodePeerEcho(family, Buffer.from(bytes));
      },
    ),
  );
});
