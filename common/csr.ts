// Making a signing request (PKCS #10, RFC 2986). Its subject is empty: who a node may be is the
// swarm's to say, and the request proves only that its sender holds the key.
import { createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import { loadX509, type X509 } from "./x509.js";

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
export const ECDSA_SHA256 = { name: "ECDSA", hash: "SHA-256" } as const;

/** DER of a request for this key (PKCS #8 PEM, P-256). */
export async function createCsr(privateKeyPem: Uint8Array): Promise<Buffer> {
  const keys = await importKeyPair(privateKeyPem);
  const x509 = await loadX509();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "",
    keys,
    signingAlgorithm: ECDSA_SHA256,
  });
  return Buffer.from(request.rawData);
}

/** Both halves of a P-256 key, for signing with WebCrypto. */
export async function importKeyPair(privateKeyPem: Uint8Array): Promise<CryptoKeyPair> {
  const privateKey = createPrivateKey(Buffer.from(privateKeyPem));
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey("pkcs8", pkcs8, P256, true, ["sign"]),
    publicKey: await subtle.importKey("spki", spki, P256, true, ["verify"]),
  } as unknown as CryptoKeyPair;
}

type CryptoKeyPair = Parameters<X509["Pkcs10CertificateRequestGenerator"]["create"]>[0]["keys"];
