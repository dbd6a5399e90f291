// A node's certificate as the swarm's CA would issue it, self-signed: for what only reads certificates.
import "reflect-metadata";
import { createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { newNodeKey } from "../../common/certificates.js";

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const ALGORITHM = { name: "ECDSA", hash: "SHA-256" } as const;
type CryptoKeyPair = Parameters<typeof x509.Pkcs10CertificateRequestGenerator.create>[0]["keys"];

// Node's WebCrypto and the library's types for it come from two different lib files.
x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

export async function nodeCertificate(options: {
  readonly nodeId: string;
  readonly role: "manager" | "worker";
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}): Promise<{ readonly key: Uint8Array; readonly certificate: Uint8Array }> {
  const key = newNodeKey();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString("hex"),
    name: `CN=${options.nodeId}, OU=skein-${options.role}, O=cluster`,
    notBefore: new Date(options.notBeforeMs),
    notAfter: new Date(options.notAfterMs),
    keys: await importKeyPair(key),
    signingAlgorithm: ALGORITHM,
  });
  return { key, certificate: Buffer.from(certificate.toString("pem")) };
}

/** Both halves of a P-256 key (PKCS #8 PEM), for signing with WebCrypto. */
export async function importKeyPair(privateKeyPem: Uint8Array): Promise<CryptoKeyPair> {
  const privateKey = createPrivateKey(Buffer.from(privateKeyPem));
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey("pkcs8", pkcs8, CURVE, true, ["sign"]),
    publicKey: await subtle.importKey("spki", spki, CURVE, true, ["verify"]),
  } as unknown as CryptoKeyPair;
}
