// A node's identity as the managers' messages have it.
import type { Identity } from "../../proto/gen/admin.js";
import type { NodeIdentity } from "../seams.js";

export function identityPem({ certificate, key, root }: NodeIdentity): Identity {
  return {
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(key),
    rootCaCert: Buffer.from(root),
  };
}
