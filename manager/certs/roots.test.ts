import "reflect-metadata";
import { generateKeyPairSync, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { beforeAll, describe, expect, test } from "vitest";
import { isIssuedBy, newNodeKey, tlsInfoOf } from "../../common/certificates.js";
import { createCsr, ECDSA_SHA256, importKeyPair } from "../../common/csr.js";
import { isRefusal, orThrow } from "../../common/fault.js";
import { seededRandom } from "../../common/random.js";
import { Role } from "../../proto/gen/types.js";
import type { RootCa, SigningCa } from "../seams.js";
import { checkCsr, issueLeaf } from "./authority.js";
import { checkRoot, createRoot, crossSign, issuerInfo, newRoot } from "./roots.js";

const NOW_MS = Date.UTC(2026, 0, 1);
const YEAR_MS = 365 * 86_400_000;
const random = seededRandom(11);
const both = (...parts: Buffer[]) => Buffer.concat(parts);

async function leafOf(ca: SigningCa): Promise<Buffer> {
  const csr = orThrow(await checkCsr(await createCsr(newNodeKey())));
  const wish = { nodeId: "n", role: Role.MANAGER, clusterId: "c", lifeMs: YEAR_MS };
  return issueLeaf(ca, csr, wish, NOW_MS, random);
}

interface Brought {
  readonly algorithm?: object;
  readonly isCa?: boolean;
  readonly fromMs?: number;
  readonly untilMs?: number;
  readonly usages?: number;
}

/** A root as a person may bring one. */
async function brought({ algorithm, isCa = true, ...rest }: Brought): Promise<RootCa> {
  const chosen = algorithm ?? { ...ECDSA_SHA256, namedCurve: "P-384" };
  const keys = (await webcrypto.subtle.generateKey(chosen as never, true, [
    "sign",
    "verify",
  ])) as never;
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "C=DE, O=Example, CN=Example Root",
    notBefore: new Date(rest.fromMs ?? NOW_MS - YEAR_MS),
    notAfter: new Date(rest.untilMs ?? NOW_MS + 5 * YEAR_MS),
    keys,
    signingAlgorithm: chosen as never,
    extensions: [
      new x509.BasicConstraintsExtension(isCa, undefined, true),
      ...(rest.usages === undefined ? [] : [new x509.KeyUsagesExtension(rest.usages, true)]),
    ],
  });
  const { privateKey } = keys as unknown as {
    privateKey: Parameters<typeof webcrypto.subtle.exportKey>[1];
  };
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", privateKey));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  const key = `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
  return { certificate: Buffer.from(made.toString("pem")), privateKey: Buffer.from(key) };
}

const rsa = (modulusLength: number, hash = "SHA-256") => ({
  name: "RSASSA-PKCS1-v1_5",
  hash,
  modulusLength,
  publicExponent: new Uint8Array([1, 0, 1]),
});

describe("during a rotation", () => {
  let old: RootCa;
  let next: RootCa;
  let chain: Buffer;
  beforeAll(async () => {
    old = await createRoot(newNodeKey(), NOW_MS, random);
    next = await brought({ algorithm: rsa(2048) });
    const intermediate = orThrow(await crossSign(old, next, NOW_MS, random));
    chain = await leafOf({ ...next, intermediate });
  });

  test("what the new key signs is of the new root, and of the old one by way of the chain", async () => {
    const other = await createRoot(newNodeKey(), NOW_MS, random);
    expect(isIssuedBy(chain, old.certificate, NOW_MS)).toBe(true);
    expect(isIssuedBy(chain, next.certificate, NOW_MS)).toBe(true);
    expect(isIssuedBy(chain, both(other.certificate, next.certificate), NOW_MS)).toBe(true);
    expect(isIssuedBy(chain, other.certificate, NOW_MS)).toBe(false);
    const [leaf = ""] = chain.toString().split(/(?<=-----END CERTIFICATE-----\n)/);
    expect(isIssuedBy(Buffer.from(leaf), old.certificate, NOW_MS)).toBe(false);
  });

  test("a leaf signs nothing, whatever its holder puts after it", async () => {
    const forger = await leafOf(old);
    const forged = await leafOf({ ...next, certificate: next.certificate });
    expect(isIssuedBy(both(forged, forger), old.certificate, NOW_MS)).toBe(false);
  });

  test("the node says the very issuer that the swarm is waiting for", async () => {
    const info = await issuerInfo(next.certificate);
    expect(tlsInfoOf(chain, both(old.certificate, next.certificate))).toMatchObject({
      issuerSubject: info.subject,
      issuerPublicKey: info.publicKey,
    });
  });

  test("a root that allows none below it is asked to be rotated to a generated one first", async () => {
    const keys = await importKeyPair(newNodeKey());
    const key = newNodeKey();
    const narrow = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: "01",
      name: "CN=skein-ca",
      keys: await importKeyPair(key),
      signingAlgorithm: ECDSA_SHA256,
      notAfter: new Date(NOW_MS + 5 * YEAR_MS),
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    void keys;
    const before = { certificate: Buffer.from(narrow.toString("pem")), privateKey: key };
    expect(isRefusal(await crossSign(before, next, NOW_MS, random))).toBe(true);
    expect(isRefusal(await crossSign(before, await newRoot(NOW_MS, random), NOW_MS, random))).toBe(
      false,
    );
  });
});

describe("a root that a person brings", () => {
  const good = [
    ["ECDSA P-384", {}],
    ["RSA 2048", { algorithm: rsa(2048) }],
    ["with the usage of a CA", { usages: x509.KeyUsageFlags.keyCertSign }],
  ] as const;
  for (const [name, what] of good) {
    test(`is taken: ${name}; and it signs`, async () => {
      const root = await brought(what);
      const checked = orThrow(await checkRoot(root.certificate, root.privateKey, NOW_MS));
      expect(isIssuedBy(await leafOf(checked), root.certificate, NOW_MS)).toBe(true);
    });
  }

  const bad = [
    ["weak", { algorithm: rsa(1024) }, /unsupported RSA key parameters/],
    ["of SHA-1", { algorithm: rsa(2048, "SHA-1") }, /unsupported signature algorithm/],
    ["no CA", { isCa: false }, /CA:TRUE/],
    ["not for signing", { usages: x509.KeyUsageFlags.digitalSignature }, /CA:TRUE|key usage/],
    ["over", { untilMs: NOW_MS - 1_000 }, /expired or is not yet valid/],
    ["not begun", { fromMs: NOW_MS + 60_000 }, /expired or is not yet valid/],
    ["nearly over", { untilMs: NOW_MS + YEAR_MS - 60_000 }, /expires too soon/],
  ] as const;
  for (const [name, what, words] of bad) {
    test(`is refused: ${name}`, async () => {
      const { certificate, privateKey } = await brought(what);
      const answer = await checkRoot(certificate, privateKey, NOW_MS);
      expect(isRefusal(answer) && answer.message).toMatch(words);
    });
  }

  test("is refused with another's key, with none, with what is none, with more than one", async () => {
    const [one, two] = [await brought({}), await brought({})];
    const csr = orThrow(await crossSign(one, two, NOW_MS, random));
    const encrypted = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
    }).privateKey;
    const cases = [
      [one.certificate, two.privateKey, /certificate key mismatch/],
      [Buffer.alloc(0), one.privateKey, /the signing CA cert must also be provided/],
      [one.certificate, Buffer.alloc(0), /comes without its key/],
      [Buffer.from("none"), one.privateKey, /could not parse the desired CA certificate/],
      [one.certificate, Buffer.from("none"), /could not parse the CA key/],
      [one.certificate, Buffer.from(encrypted), /is encrypted/],
      [both(one.certificate, two.certificate), one.privateKey, /multiple certificates/],
      [csr, two.privateKey, /not signed by itself/],
      [Buffer.alloc(1 << 20, 65), one.privateKey, /more than 64 KiB/],
    ] as const;
    for (const [certificate, key, words] of cases) {
      const answer = await checkRoot(certificate, key, NOW_MS);
      expect(isRefusal(answer) && answer.message).toMatch(words);
    }
  });
});
