import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { keyBytes, publicKeyOf, WireguardKey } from "./wireguard-key.js";

// RFC 7748 section 6.1: Alice's and Bob's.
const VECTORS = [
  [
    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
  ],
  [
    "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
  ],
] as const;

test("a public key is the one of RFC 7748", () => {
  for (const [secret, open] of VECTORS) {
    const derived = publicKeyOf(Buffer.from(secret, "hex"));
    expect(Buffer.from(derived, "base64").toString("hex")).toBe(open);
  }
});

test("what is written is read again, and chance is made a key as wg genkey makes it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (chance) => {
      const key = WireguardKey.fromChance(chance);
      const [first = 0] = key.bytes();
      const last = key.bytes()[31] ?? 0;
      expect([first & 7, last & 192]).toEqual([0, 64]);
      const again = WireguardKey.parse(key.text());
      expect(again?.publicKey).toBe(key.publicKey);
      expect(Buffer.compare(again?.bytes() ?? new Uint8Array(), key.bytes())).toBe(0);
    }),
  );
});

test("a key says nothing of itself", () => {
  const key = WireguardKey.fromChance(Buffer.from(VECTORS[0][0], "hex"));
  const secrets = [Buffer.from(key.bytes()).toString("hex"), key.text().trim()];
  const said = [JSON.stringify({ key }), inspect({ key }, { depth: 9 }), String(key)].join();
  for (const secret of secrets) expect(said).not.toContain(secret);
});

test("what is no key is none", () => {
  for (const text of ["", "AAAA", `${"A".repeat(44)}`, `${"A".repeat(43)}=A`, "ä".repeat(44)]) {
    expect(keyBytes(text)).toBeUndefined();
    expect(WireguardKey.parse(text)).toBeUndefined();
  }
});
