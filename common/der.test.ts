import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nodeCertificate } from "../test/fakes/node-certificate.js";
import { childrenOf } from "./der.js";

test("the parts of a certificate are found, and together they are all of it", async () => {
  const made = await nodeCertificate({
    nodeId: "n",
    role: "worker",
    notBeforeMs: 0,
    notAfterMs: 1_000,
  });
  const { raw } = new X509Certificate(Buffer.from(made.certificate));
  const parts = childrenOf(raw) ?? [];
  // RFC 5280 section 4.1: tbsCertificate, signatureAlgorithm, signatureValue.
  expect(parts).toHaveLength(3);
  expect(raw.subarray(-parts.reduce((sum, part) => sum + part.length, 0))).toEqual(
    Buffer.concat(parts),
  );
  for (let cut = 0; cut < raw.length; cut++)
    expect(childrenOf(raw.subarray(0, cut))).toBe(undefined);
});

test("no bytes whatever make it throw, and nothing is found outside of them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const found = childrenOf(bytes) ?? [];
      expect(found.reduce((sum, part) => sum + part.length, 0)).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
