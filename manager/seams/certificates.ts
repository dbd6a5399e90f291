// The signer of certificates, and what it is given.
import type { Refusal } from "../../common/fault.js";
import type { Role } from "../../proto/gen/types.js";

/** Signs certificates (manager/certs). Requests that it cannot accept are Refusals. */
export interface CertificateSigner {
  checkCsr(csr: Uint8Array): Promise<CheckedCsr | Refusal>;
  /** PEM: the leaf, and the intermediate if there is one. */
  issue(root: SigningCa, csr: CheckedCsr, wish: LeafWish): Promise<Buffer>;
  /** A root of a new key. */
  newRoot(): Promise<SigningRoot>;
  /** A root that a person has brought. The Refusal says what is wrong with it. */
  checkRoot(certificate: Uint8Array, key: Uint8Array): Promise<SigningRoot | Refusal>;
  /** A certificate of `next`'s key by `before` (PEM). */
  crossSign(before: RootCa, next: RootCa): Promise<Buffer | Refusal>;
}
/** PEM; the key is PKCS #8. */
export interface RootCa {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}
export interface SigningRoot extends RootCa {
  /** DER of its subject and of its public key (SPKI). */
  readonly subject: Buffer;
  readonly publicKey: Buffer;
}
/** What leaves are signed with. The intermediate (PEM) leads to the root that was before. */
export interface SigningCa extends RootCa {
  readonly intermediate?: Buffer;
}
/** A signing request whose self-signature holds. */
export interface CheckedCsr {
  readonly der: Uint8Array;
  /** SHA-256 of its SPKI. */
  readonly publicKeyDigest: Buffer;
}
export interface LeafWish {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
  readonly lifeMs: number;
}
