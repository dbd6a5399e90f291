// What a request to change the swarm means for its root: makes or checks the new one and has the old one certify it.
// Nothing is written here, and it takes a while, so it comes before the write, which looks whether the swarm is still
// the same.
import { isRefusal, type Refusal } from "../../common/fault.js";
import type { UpdateClusterRequest } from "../../proto/gen/control.js";
import type { Cluster } from "../../proto/gen/types.js";
import type { RootChange } from "../ca/root-rotation.js";
import type { CertificateSigner } from "../seams.js";

export async function rootChange(
  before: Cluster | undefined,
  request: UpdateClusterRequest,
  { signer, nowMs }: { readonly signer: CertificateSigner; readonly nowMs: number },
): Promise<RootChange | Refusal> {
  if (before === undefined) return { kind: "none" };
  const { signingCaCert = NOTHING, signingCaKey = NOTHING } = request;
  const isBrought = signingCaCert.length > 0 || signingCaKey.length > 0;
  // Docker's clients send back the number that they were shown; 0 comes from those who leave it out.
  const asked = request.spec?.forceRotate ?? 0;
  const isForced = asked !== 0 && asked !== (before.spec?.forceRotate ?? 0);
  if (!isBrought && !isForced) return { kind: "none" };
  const root = isBrought
    ? await signer.checkRoot(signingCaCert, signingCaKey)
    : await signer.newRoot();
  if (isRefusal(root)) return root;
  const known = [before.rootCaCert, before.rootRotation?.caCert];
  if (known.some((each) => each?.equals(root.certificate))) return { kind: "keep", root };
  const old = { certificate: before.rootCaCert, privateKey: before.rootCaKey };
  const crossSigned = await signer.crossSign(old, root);
  if (isRefusal(crossSigned)) return crossSigned;
  return { kind: "rotate", root, crossSigned, startedAtMs: nowMs };
}

const NOTHING = Buffer.alloc(0);
