import { beforeAll, expect, test } from "vitest";
import type { Identity } from "../../proto/gen/admin.js";
import { nodeCertificate } from "../../test/fakes/node-certificate.js";
import { refuseIdentity } from "./manager-identity.js";

const NOW_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** Issued by itself, which is root enough. */
async function identity(role: "manager" | "worker"): Promise<Identity> {
  const { key, certificate } = await nodeCertificate({
    nodeId: "n1",
    role,
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + DAY_MS,
  });
  return {
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(key),
    rootCaCert: Buffer.from(certificate),
  };
}

let manager: Identity;
let other: Identity;
let worker: Identity;
beforeAll(async () => {
  [manager, other, worker] = await Promise.all([
    identity("manager"),
    identity("manager"),
    identity("worker"),
  ]);
});
const why = (tls: Identity, nowMs = NOW_MS) => refuseIdentity(tls, nowMs)?.message;

test("a manager's certificate with its key and its root is taken", () => {
  expect(why(manager)).toBeUndefined();
});

test("what is no certificate, and a worker's, are refused", () => {
  expect(why({ ...manager, certificate: Buffer.from("none") })).toMatch(/cannot be read/);
  expect(why(worker)).toMatch(/not a manager's/);
});

test("a key, or a root, of another certificate is refused", () => {
  expect(why({ ...manager, privateKey: other.privateKey })).toMatch(/another certificate's/);
  expect(why({ ...manager, rootCaCert: other.rootCaCert })).toMatch(/not this root's/);
});

test("a certificate is refused before its time and after it", () => {
  expect(why(manager, NOW_MS - 2 * DAY_MS)).toMatch(/its time has passed/);
  expect(why(manager, NOW_MS + 2 * DAY_MS)).toMatch(/its time has passed/);
});
