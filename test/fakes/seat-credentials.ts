// Certificates of a swarm whose nodes are known beforehand: one of each role for each node, really signed,
// made once. So who renews gets one without waiting for a key to sign.
import { createHash } from "node:crypto";
import { newNodeKey } from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { orThrow } from "../../common/fault.js";
import { seededRandom } from "../../common/random.js";
import { checkCsr, issueLeaf } from "../../manager/certs/authority.js";
import { createRoot } from "../../manager/certs/roots.js";
import type { CertificateSigner } from "../../manager/seams.js";
import type { Identity } from "../../proto/gen/admin.js";
import { Role } from "../../proto/gen/types.js";

export const CLUSTER_ID = "cluster";
export type RoleWord = "manager" | "worker";

const LIFE_MS = 86_400_000;
const ROLE = { manager: Role.MANAGER, worker: Role.WORKER };

export class Credentials {
  private constructor(
    readonly root: Buffer,
    readonly rootKey: Buffer,
    private readonly leaves: ReadonlyMap<string, Identity>,
  ) {}

  static async of(nodeIds: readonly string[]): Promise<Credentials> {
    const random = seededRandom(1);
    const root = await createRoot(newNodeKey(), 0, random);
    const leaves = new Map<string, Identity>();
    for (const nodeId of nodeIds) {
      const privateKey = newNodeKey();
      const csr = orThrow(await checkCsr(await createCsr(privateKey)));
      for (const word of ["manager", "worker"] as const) {
        const wish = { nodeId, role: ROLE[word], clusterId: CLUSTER_ID, lifeMs: LIFE_MS };
        const certificate = await issueLeaf(root, csr, wish, 0, random);
        const rootCaCert = root.certificate;
        leaves.set(`${nodeId} ${word}`, { certificate, privateKey, rootCaCert });
      }
    }
    return new Credentials(root.certificate, root.privateKey, leaves);
  }

  identity(nodeId: string, role: RoleWord): Identity {
    const identity = this.leaves.get(`${nodeId} ${role}`);
    if (identity === undefined) throw new Error(`no certificate of ${nodeId}`);
    return identity;
  }

  /** A signing request is the node's id: what its key would prove is not what these tests are about. */
  signer(): CertificateSigner {
    return {
      checkCsr: async (csr) => ({
        der: csr,
        publicKeyDigest: digestOf(Buffer.from(csr).toString()),
      }),
      issue: async (_root, _csr, { nodeId, role }) =>
        Buffer.from(
          this.identity(nodeId, role === Role.MANAGER ? "manager" : "worker").certificate,
        ),
      newRoot: () => Promise.reject(new Error("no root is rotated here")),
      checkRoot: () => Promise.reject(new Error("no root is rotated here")),
      crossSign: () => Promise.reject(new Error("no root is rotated here")),
    };
  }
}

export function digestOf(nodeId: string): Buffer {
  return createHash("sha256").update(nodeId).digest();
}
