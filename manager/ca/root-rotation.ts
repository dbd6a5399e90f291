// How a swarm moves from one root certificate to another while it runs (docs/certificates.md):
//
//   begun       the new key signs everything; nodes are told to trust both roots, and to ask for a certificate of the new
//   all moved   the new root is the only one; join tokens name it
//
// Between the two nobody is left behind: what the new key signs comes with that key's certificate by the old root, and
// what the old key has signed is still trusted. Begun again, it is to another new root; what the first one signed
// leads back to the old root, as before.
import type { Cluster, JoinSecrets, Node } from "../../proto/gen/types.js";
import type { Draft, StoreView } from "../store/view.js";

/** PEM; the key is PKCS #8. Subject and public key are DER. */
export interface NewRoot {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  readonly subject: Buffer;
  readonly publicKey: Buffer;
}

export type RootChange =
  | { readonly kind: "none" }
  | {
      readonly kind: "rotate";
      readonly root: NewRoot;
      readonly crossSigned: Buffer;
      readonly startedAtMs: number;
    }
  /** To the root that is, or to the one that is on its way: a rotation to another ends, or this one goes on. */
  | { readonly kind: "keep"; readonly root: NewRoot };

/** The roots that everybody is to trust now, PEM. */
export function trustedRoots(cluster: Cluster): Buffer {
  const next = cluster.rootRotation?.caCert;
  return next === undefined ? cluster.rootCaCert : Buffer.concat([cluster.rootCaCert, next]);
}

/** What signs certificates now; the intermediate leads to the root that was before. */
export function signingCa(cluster: Cluster): {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  readonly intermediate?: Buffer;
} {
  const { rootRotation: next, rootCaCert: certificate, rootCaKey: privateKey } = cluster;
  if (next === undefined) return { certificate, privateKey };
  return {
    certificate: next.caCert,
    privateKey: next.caKey,
    intermediate: next.crossSignedCert,
  };
}

/** Without the keys, which stay on the managers. */
export function withoutKeys(cluster: Cluster): Cluster {
  const { rootRotation } = cluster;
  return {
    ...cluster,
    rootCaKey: Buffer.alloc(0),
    ...(rootRotation && { rootRotation: { ...rootRotation, caKey: Buffer.alloc(0) } }),
  };
}

/** What of the cluster changes. */
export function changedRoot(before: Cluster, change: RootChange): Partial<Cluster> {
  switch (change.kind) {
    case "none":
      return {};
    case "rotate": {
      const { certificate: caCert, privateKey: caKey, subject, publicKey } = change.root;
      const { crossSigned: crossSignedCert, startedAtMs } = change;
      return {
        rootRotation: { caCert, caKey, crossSignedCert, startedAtMs },
        issuerSubject: subject,
        issuerPublicKey: publicKey,
      };
    }
    case "keep": {
      const { certificate, subject, publicKey } = change.root;
      // Its certificates go on being asked for from all; which of the two it is decides when it ends.
      if (!certificate.equals(before.rootCaCert)) return {};
      return { rootRotation: undefined, issuerSubject: subject, issuerPublicKey: publicKey };
    }
  }
}

/** The nodes whose certificate is not of the root that signs now, in no order. */
export function behind(view: StoreView): readonly Node[] {
  const cluster = view.cluster();
  if (cluster === undefined) return [];
  return [...view.nodes()].filter(
    (node) => Buffer.compare(node.certIssuerPublicKey, cluster.issuerPublicKey) !== 0,
  );
}

/** Ends the rotation if every node has moved; `secrets` are fresh, for who knew the old key knew the old ones. */
export function finishRotation(draft: Draft, secrets: JoinSecrets): Cluster | undefined {
  const before = draft.cluster();
  const next = before?.rootRotation;
  if (before === undefined || next === undefined || behind(draft).length > 0) return undefined;
  const cluster: Cluster = {
    ...before,
    rootCaCert: next.caCert,
    rootCaKey: next.caKey,
    rootRotation: undefined,
    joinSecrets: secrets,
  };
  draft.update("cluster", cluster);
  return cluster;
}
