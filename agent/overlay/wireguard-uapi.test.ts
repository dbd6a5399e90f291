import fc from "fast-check";
import { expect, test } from "vitest";
import type { Ip } from "../../common/address.js";
import { parseIp } from "../../common/address.js";
import { decodeErrno, decodeGet, encodeSet } from "./wireguard-uapi.js";

// As captured from wireguard-go 0.0.20220316, with RFC 7748's keys of Alice (private) and Bob (public).
const ANSWER = `private_key=77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a
listen_port=4788
public_key=de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f
preshared_key=0000000000000000000000000000000000000000000000000000000000000000
protocol_version=1
endpoint=192.168.77.2:4788
last_handshake_time_sec=1763748599
last_handshake_time_nsec=484926000
tx_bytes=484
rx_bytes=336
persistent_keepalive_interval=0
allowed_ip=fd00:1::2/128
errno=0

`;
const ALICE = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
const BOB = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=";
const ip = (text: string) => parseIp(text) as Ip;

test("an answer of wireguard-go is read", () => {
  expect(decodeGet(ANSWER)).toEqual({
    publicKey: ALICE,
    port: 4788,
    peers: new Map([
      [
        BOB,
        {
          endpoint: "192.168.77.2:4788",
          allowed: ["fd00:1::2/128"],
          handshakeMs: 1763748599484,
          sentBytes: 484,
          receivedBytes: 336,
        },
      ],
    ]),
  });
});

test("a change says key, port and peers, in order, and nothing that is to stay", () => {
  const put = { kind: "put", publicKey: BOB, port: 4788 } as const;
  const six = { ...put, endpoint: ip("fd00:33::2"), address: ip("fd00:1::2") };
  expect(
    encodeSet({
      privateKey: Buffer.alloc(32, 0xa0),
      port: 4788,
      peers: [{ kind: "remove", publicKey: ALICE }, six],
    }),
  ).toBe(
    `set=1
private_key=${"a0".repeat(32)}
listen_port=4788
public_key=8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a
remove=true
public_key=de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f
endpoint=[fd00:33::2]:4788
replace_allowed_ips=true
allowed_ip=fd00:1::2/128

`,
  );
  expect(encodeSet({ peers: [] })).toBe("set=1\n\n");
});

test("an answer that is cut anywhere is none", () => {
  for (let end = 0; end < ANSWER.length; end++) {
    expect(decodeGet(ANSWER.slice(0, end))).toBeUndefined();
  }
});

test("a failure says its errno", () => {
  expect(decodeErrno("errno=-98\n\n")).toBe(98);
  expect(decodeErrno("errno=0\n\n")).toBe(0);
  expect(decodeErrno("errno=0\n")).toBeUndefined();
  expect(decodeGet("errno=-1\n\n")).toBeUndefined();
});

test("no text makes reading throw", () => {
  const keys = ["private_key", "public_key", "endpoint", "allowed_ip", "listen_port", "tx_bytes"];
  const line = fc
    .tuple(fc.constantFrom(...keys), fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f]{64}$/)))
    .map(([key, value]) => `${key}=${value}`);
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      decodeGet(`${lines.join("\n")}\nerrno=0\n\n`);
    }),
  );
});
