// A node's certificate as the swarm's CA would issue it, self-signed: for what only reads certificates.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { newNodeKey } from "../../common/certificates.js";
import { ECDSA_SHA256, importKeyPair } from "../../common/csr.js";

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
    signingAlgorithm: ECDSA_SHA256,
  });
  return { key, certificate: Buffer.from(certificate.toString("pem")) };
}
