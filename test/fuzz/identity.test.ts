// Join tokens, certificate requests and certificates as strangers offer them: each is what it was made to be, or
// nothing.
import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import {
  isIssuedBy,
  isSignedWith,
  keyFits,
  newNodeKey,
  readCertificate,
  tlsInfoOf,
} from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { childrenOf } from "../../common/der.js";
import { isRefusal } from "../../common/fault.js";
import { formatJoinToken, parseJoinToken, rootDigestOf } from "../../common/join-token.js";
import { seededRandom } from "../../common/random.js";
import { checkCsr, issueLeaf } from "../../manager/certs/authority.js";
import { createRoot } from "../../manager/certs/roots.js";
import type { RootCa } from "../../manager/seams.js";
import { Role } from "../../proto/gen/types.js";
import { fuzz } from "../fakes/mutations.js";

const NOW_MS = Date.UTC(2026, 0, 1);
const random = seededRandom(11);
const wish = { nodeId: "n1", role: Role.WORKER, clusterId: "c1", lifeMs: 86_400_000 };
let root: RootCa;
let key: Buffer;
let csr: Buffer;
let leaf: Buffer;

beforeAll(async () => {
  root = await createRoot(newNodeKey(), NOW_MS, random);
  key = newNodeKey();
  csr = await createCsr(key);
  leaf = await issued(csr);
});

async function issued(request: Uint8Array): Promise<Buffer> {
  const checked = await checkCsr(request);
  if (isRefusal(checked)) throw new Error(checked.message);
  return Buffer.from(await issueLeaf(root, checked, wish, NOW_MS, random));
}

const spkiOf = (certificate: Buffer) =>
  new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
const derOf = (pem: Buffer) => new X509Certificate(pem).raw;

test("a join token is the one that was printed, or an invalid one", async () => {
  const token = { rootDigest: rootDigestOf(root.certificate), secret: "0123456789abcdefghijklmno" };
  const good = formatJoinToken(token);
  await fuzz({ from: [Buffer.from(good)], count: 2_000 }, (bytes) => {
    const text = bytes.toString("latin1");
    const parsed = parseJoinToken(text);
    if (isRefusal(parsed)) expect(parsed.message).toBe("invalid join token");
    else expect(formatJoinToken(parsed)).toBe(text.trim());
  });
});

describe("a certificate request", () => {
  test("is refused, or is for the very key that signed it", async () => {
    const others = await Promise.all([1, 2].map(() => createCsr(newNodeKey())));
    await fuzz({ from: [csr, ...others], count: 300 }, async (bytes) => {
      const checked = await checkCsr(bytes);
      if (isRefusal(checked)) {
        expect(checked.message).toMatch(/^invalid certificate request: /);
        return;
      }
      // What the certificate then holds is the key whose digest the node is known by.
      const digest = createHash("sha256")
        .update(spkiOf(await issued(bytes)))
        .digest();
      expect(digest.equals(checked.publicKeyDigest)).toBe(true);
    });
  });

  test("that is nested without end, or huge, is refused in no time", async () => {
    const nested = Buffer.concat(
      Array.from({ length: 1_000 }, (_, i) =>
        Buffer.from([0x30, 0x82, ((999 - i) * 4) >> 8, ((999 - i) * 4) & 0xff]),
      ),
    );
    for (const bytes of [nested, Buffer.alloc(4_096, 0x30), Buffer.alloc(2 ** 20), Buffer.alloc(0)])
      expect(isRefusal(await checkCsr(bytes))).toBe(true);
  });

  test("whose signature is another key's is refused", async () => {
    // The key at its place in the DER is replaced by another, with everything else as it was.
    const mine = createPublicKey(key).export({ type: "spki", format: "der" });
    const theirs = createPublicKey(newNodeKey()).export({ type: "spki", format: "der" });
    const at = csr.indexOf(mine);
    expect(at).toBeGreaterThan(0);
    const stolen = Buffer.concat([csr.subarray(0, at), theirs, csr.subarray(at + mine.length)]);
    expect(await checkCsr(stolen)).toMatchObject({ message: expect.stringMatching(/signature/) });
  });
});

describe("a certificate", () => {
  const original = () => ({ nodeId: "n1", role: Role.WORKER, clusterId: "c1" });

  test("that was changed was not issued by the root, whatever it now says", async () => {
    await fuzz({ from: [derOf(leaf), leaf], count: 600 }, (bytes) => {
      const facts = readCertificate(bytes);
      const believed = isIssuedBy(bytes, root.certificate, NOW_MS);
      const fits = keyFits(bytes, key);
      if (!believed) return;
      expect(facts).toMatchObject(original());
      expect(fits).toBe(true);
    });
  });

  test("shown as the root is one, or none", async () => {
    const good = readCertificate(leaf);
    await fuzz(
      { from: [derOf(Buffer.from(root.certificate)), root.certificate], count: 200 },
      (bytes) => {
        if (isIssuedBy(leaf, bytes, NOW_MS)) expect(good).toMatchObject(original());
        expect(readCertificate(bytes)).toBeUndefined();
      },
    );
  });

  test("with a key that is none fits nothing", async () => {
    await fuzz({ from: [key], count: 200 }, (bytes) => {
      if (keyFits(leaf, bytes))
        expect(createPublicKey(bytes).equals(createPublicKey(key))).toBe(true);
    });
  });

  test("that is read is the one that is verified, however the text around it is written", async () => {
    // Self-made, for another node: what OpenSSL takes for the first certificate of the text.
    const forger = await createRoot(newNodeKey(), NOW_MS, random);
    const checked = await checkCsr(await createCsr(newNodeKey()));
    if (isRefusal(checked)) throw new Error(checked.message);
    const other = { ...wish, nodeId: "other", role: Role.MANAGER };
    const forged = (await issueLeaf(forger, checked, other, NOW_MS, random)).toString();
    const disguises = [
      forged.replaceAll("CERTIFICATE", "X509 CERTIFICATE"),
      forged.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE"),
      forged.replace("\n", "\nX-Note: a-b\n\n"),
      forged,
    ];
    for (const disguise of disguises) {
      const chain = Buffer.from(`${disguise}${leaf}`);
      const facts = readCertificate(chain);
      if (isIssuedBy(chain, root.certificate, NOW_MS)) expect(facts).toMatchObject(original());
      if (keyFits(chain, key)) expect(facts).toMatchObject(original());
    }
  });

  test("and what is shown of whom it is from never fails", async () => {
    const issuer = createPublicKey(key).export({ type: "spki", format: "der" });
    const chain = Buffer.concat([leaf, root.certificate]);
    await fuzz({ from: [chain, derOf(leaf), issuer], count: 300 }, (bytes) => {
      tlsInfoOf(bytes, root.certificate);
      tlsInfoOf(leaf, bytes);
      isSignedWith(bytes, issuer);
      expect(isSignedWith(leaf, bytes)).toBe(false);
      for (const each of childrenOf(bytes) ?? []) expect(each.length).toBeLessThan(bytes.length);
    });
  });
});
