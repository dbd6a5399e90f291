// What a root signs with, read once: its certificate and key are parsed and imported for the first leaf, and every other
// leaf of that root is signed with the same.
import { loadX509, type X509 } from "../../common/x509.js";
import type { RootCa } from "../seams.js";
import { importSigningKey, type SigningKey } from "./roots.js";

export interface Issuer extends SigningKey {
  /** As it is: the same words in another type of string would be another name to some. */
  readonly name: InstanceType<X509["X509Certificate"]>["subjectName"];
  readonly notAfterMs: number;
  readonly authorityKey: InstanceType<X509["AuthorityKeyIdentifierExtension"]>;
}

// By the key's own bytes in memory, so that nothing of it is kept longer than they are: the store's row of a cluster
// holds them until the root is another, and a manager that restores a snapshot reads them once more.
const known = new WeakMap<Buffer, { readonly certificate: Buffer; readonly issuer: Issuer }>();

export async function issuerOf(root: RootCa): Promise<Issuer> {
  const held = known.get(root.privateKey);
  if (held?.certificate.equals(root.certificate)) return held.issuer;
  const issuer = await readIssuer(root);
  known.set(root.privateKey, { certificate: root.certificate, issuer });
  return issuer;
}

async function readIssuer(root: RootCa): Promise<Issuer> {
  const x509 = await loadX509();
  const certificate = new x509.X509Certificate(Buffer.from(root.certificate).toString());
  return {
    ...(await importSigningKey(root.privateKey)),
    name: certificate.subjectName,
    notAfterMs: certificate.notAfter.getTime(),
    authorityKey: await x509.AuthorityKeyIdentifierExtension.create(certificate.publicKey),
  };
}
