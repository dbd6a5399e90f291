import { X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import {
  isIssuedBy,
  keyFits,
  newNodeKey,
  readCertificate,
  renewalTimeMs,
} from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { isRefusal } from "../../common/fault.js";
import { seededRandom } from "../../common/random.js";
import { Role } from "../../proto/gen/types.js";
import type { RootCa } from "../seams.js";
import { checkCsr, issueLeaf } from "./authority.js";
import { createRoot, issuerInfo } from "./roots.js";

const NOW_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const random = seededRandom(7);
let root: RootCa;
let nodeKey: Uint8Array;

beforeAll(async () => {
  root = await createRoot(newNodeKey(), NOW_MS, random);
  nodeKey = newNodeKey();
});

async function leaf(role: Role): Promise<Uint8Array> {
  const csr = await checkCsr(await createCsr(nodeKey));
  if (isRefusal(csr)) throw new Error(csr.message);
  const wish = { nodeId: "n1", role, clusterId: "c1", lifeMs: 90 * DAY_MS };
  return issueLeaf(root, csr, wish, NOW_MS, random);
}

describe("the certificate authority", () => {
  test("issues a leaf that says who its holder is, for the key that asked", async () => {
    const certificate = await leaf(Role.MANAGER);
    expect(readCertificate(certificate)).toMatchObject({
      nodeId: "n1",
      role: Role.MANAGER,
      clusterId: "c1",
      notBeforeMs: NOW_MS - 3_600_000,
      notAfterMs: NOW_MS + 90 * DAY_MS,
    });
    expect(keyFits(certificate, nodeKey)).toBe(true);
    expect(keyFits(certificate, newNodeKey())).toBe(false);
    expect(isIssuedBy(certificate, root.certificate, NOW_MS)).toBe(true);
    expect(isIssuedBy(certificate, root.certificate, NOW_MS + 91 * DAY_MS)).toBe(false);
  });

  test("another root did not issue it", async () => {
    const other = await createRoot(newNodeKey(), NOW_MS, random);
    expect(isIssuedBy(await leaf(Role.WORKER), other.certificate, NOW_MS)).toBe(false);
  });

  test("a root that took another's place signs from then on, also with the same key", async () => {
    await leaf(Role.WORKER);
    const before = root;
    try {
      root = await createRoot(newNodeKey(), NOW_MS, random);
      expect(isIssuedBy(await leaf(Role.WORKER), root.certificate, NOW_MS)).toBe(true);
      const later = NOW_MS + 10 * DAY_MS;
      const anew = await createRoot(root.privateKey, later - 20 * 365 * DAY_MS, random);
      root = { certificate: anew.certificate, privateKey: root.privateKey };
      expect(readCertificate(await leaf(Role.WORKER))?.notAfterMs).toBe(later);
    } finally {
      root = before;
    }
  });

  test("names only managers skein-manager, and lets only them serve", async () => {
    const worker = new X509Certificate(Buffer.from(await leaf(Role.WORKER)));
    const manager = new X509Certificate(Buffer.from(await leaf(Role.MANAGER)));
    expect(worker.checkHost("skein-manager")).toBeUndefined();
    expect(manager.checkHost("skein-manager")).toBe("skein-manager");
    expect(worker.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(manager.keyUsage).toContain("1.3.6.1.5.5.7.3.1");
  });

  test("shows Docker's TLSInfo of its root", async () => {
    const info = await issuerInfo(root.certificate);
    expect(Buffer.from(info.subject).toString("latin1")).toContain("skein-ca");
    expect(info.publicKey.length).toBe(91);
  });

  const badRequests = async () => {
    const good = await createCsr(nodeKey);
    const flipped = Uint8Array.from(good);
    flipped[flipped.length - 1] = (flipped[flipped.length - 1] ?? 0) ^ 1;
    const stolen = Buffer.from(good);
    const spki = Buffer.from(
      new X509Certificate(Buffer.from(root.certificate)).publicKey.export({
        type: "spki",
        format: "der",
      }),
    );
    const at = stolen.indexOf(spki.subarray(0, 26));
    spki.copy(stolen, at);
    return { flipped, stolen, empty: new Uint8Array(), big: new Uint8Array(5000) };
  };
  test("refuses requests that are damaged, for another's key, empty or too big", async () => {
    const { flipped, stolen, empty, big } = await badRequests();
    for (const csr of [flipped, stolen, empty, big]) {
      const answer = await checkCsr(csr);
      expect(isRefusal(answer) && answer.code).toBe("invalid-argument");
    }
  });
});

test("renewal comes between half and 80 % of a life counted from the issue", () => {
  const facts = { notBeforeMs: NOW_MS - 3_600_000, notAfterMs: NOW_MS + 100 * DAY_MS };
  expect(renewalTimeMs(facts, 0)).toBe(NOW_MS + 50 * DAY_MS);
  expect(renewalTimeMs(facts, 1)).toBe(NOW_MS + 80 * DAY_MS);
});
