// Whether what a manager is told to be is a manager's identity, and whole.
import { isIssuedBy, keyFits, readCertificate } from "../../common/certificates.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { Identity } from "../../proto/gen/admin.js";
import { Role } from "../../proto/gen/types.js";

export function refuseIdentity(tls: Identity, nowMs: number): Refusal | undefined {
  const wrong = (why: string) => refuse("invalid-argument", `wrong identity: ${why}`);
  const facts = readCertificate(tls.certificate);
  if (!facts) return wrong("the certificate cannot be read");
  if (facts.role !== Role.MANAGER) return wrong("the certificate is not a manager's");
  if (!keyFits(tls.certificate, tls.privateKey)) return wrong("the key is another certificate's");
  const issued = isIssuedBy(tls.certificate, tls.rootCaCert, nowMs);
  return issued ? undefined : wrong("the certificate is not this root's, or its time has passed");
}
