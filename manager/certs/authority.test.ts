import "reflect-metadata";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
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
import { importKeyPair } from "../../test/fakes/node-certificate.js";
import { checkCsr, createRoot, issueLeaf, issuerInfo, type RootCa } from "./authority.js";

const NOW_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const random = seededRandom(7);
let root: RootCa;
let nodeKey: Uint8Array;

beforeAll(() => {
  root = createRoot(newNodeKey(), NOW_MS, random);
  nodeKey = newNodeKey();
});

function leaf(role: Role): Uint8Array {
  const csr = checkCsr(createCsr(nodeKey));
  if (isRefusal(csr)) throw new Error(csr.message);
  const wish = { nodeId: "n1", role, clusterId: "c1", lifeMs: 90 * DAY_MS };
  return issueLeaf(root, csr, wish, NOW_MS, random);
}

describe("the certificate authority", () => {
  test("issues a leaf that says who its holder is, for the key that asked", () => {
    const certificate = leaf(Role.MANAGER);
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

  test("another root did not issue it", () => {
    const other = createRoot(newNodeKey(), NOW_MS, random);
    expect(isIssuedBy(leaf(Role.WORKER), other.certificate, NOW_MS)).toBe(false);
  });

  test("names only managers skein-manager, and lets only them serve", () => {
    const worker = new X509Certificate(Buffer.from(leaf(Role.WORKER)));
    const manager = new X509Certificate(Buffer.from(leaf(Role.MANAGER)));
    expect(worker.checkHost("skein-manager")).toBeUndefined();
    expect(manager.checkHost("skein-manager")).toBe("skein-manager");
    expect(worker.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(manager.keyUsage).toContain("1.3.6.1.5.5.7.3.1");
  });

  test("is read by another library as it was meant", async () => {
    const issuer = new x509.X509Certificate(root.certificate.toString());
    const certificate = new x509.X509Certificate(Buffer.from(leaf(Role.MANAGER)).toString());
    expect(await issuer.isSelfSigned()).toBe(true);
    expect(await certificate.verify({ publicKey: issuer, date: new Date(NOW_MS) })).toBe(true);
    expect(certificate.subject).toBe("CN=n1, OU=skein-manager, O=c1");
    expect(issuer.getExtension(x509.BasicConstraintsExtension)).toMatchObject({
      ca: true,
      pathLength: 0,
      critical: true,
    });
    const usages = (of: x509.X509Certificate) => of.getExtension(x509.KeyUsagesExtension)?.usages;
    expect(usages(issuer)).toBe(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign);
    expect(usages(certificate)).toBe(x509.KeyUsageFlags.digitalSignature);
    expect(certificate.getExtension(x509.BasicConstraintsExtension)?.ca).toBe(false);
    const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON();
    expect(names?.map(({ value }) => value)).toEqual(["skein-manager", "n1"]);
    const own = issuer.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
    expect(own).toMatch(/^[0-9a-f]{40}$/);
    expect(certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(own);
  });

  test("takes another library's request, and that library takes ours", async () => {
    const theirs = await x509.Pkcs10CertificateRequestGenerator.create({
      name: "CN=ignored",
      keys: await importKeyPair(nodeKey),
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    });
    expect(checkCsr(new Uint8Array(theirs.rawData))).toEqual(checkCsr(createCsr(nodeKey)));
    const ours = new x509.Pkcs10CertificateRequest(Uint8Array.from(createCsr(nodeKey)));
    expect(await ours.verify()).toBe(true);
  });

  test("refuses a request for a key of another kind, and every truncation", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const p384 = createCsr(Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" })));
    expect(checkCsr(p384)).toMatchObject({
      message: "invalid certificate request: the key is not P-256",
    });
    const good = createCsr(nodeKey);
    for (let length = 0; length < good.length; length++) {
      expect(isRefusal(checkCsr(good.subarray(0, length)))).toBe(true);
    }
  });

  test("shows Docker's TLSInfo of its root", () => {
    const info = issuerInfo(root.certificate);
    expect(Buffer.from(info.subject).toString("latin1")).toContain("skein-ca");
    expect(info.publicKey.length).toBe(91);
  });

  const badRequests = () => {
    const good = createCsr(nodeKey);
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
  test("refuses requests that are damaged, for another's key, empty or too big", () => {
    const { flipped, stolen, empty, big } = badRequests();
    for (const csr of [flipped, stolen, empty, big]) {
      const answer = checkCsr(csr);
      expect(isRefusal(answer) && answer.code).toBe("invalid-argument");
    }
  });
});

test("renewal comes between half and 80 % of a life counted from the issue", () => {
  const facts = { notBeforeMs: NOW_MS - 3_600_000, notAfterMs: NOW_MS + 100 * DAY_MS };
  expect(renewalTimeMs(facts, 0)).toBe(NOW_MS + 50 * DAY_MS);
  expect(renewalTimeMs(facts, 1)).toBe(NOW_MS + 80 * DAY_MS);
});
