// What a new swarm begins with: ids, the root of its certificate authority, the first certificate, the
// first join secrets. Nothing is written here.
import { parseHostPort } from "../common/address.js";
import { newNodeKey } from "../common/certificates.js";
import { isRefusal, type Refusal, refuse } from "../common/fault.js";
import { newSwarmId } from "../common/ids.js";
import { newJoinSecret } from "../common/join-token.js";
import type { Random } from "../common/random.js";
import { newUnlockKey } from "../common/unlock-key.js";
import type { Identity, InitRequest } from "../proto/gen/admin.js";
import { Role } from "../proto/gen/types.js";
import { CERT_LIFE_MIN_MS, CERT_LIFE_MS } from "./ca/issue.js";
import { checkCsr, issueLeaf } from "./certs/authority.js";
import { createRoot, issuerInfo } from "./certs/roots.js";
import type { InitCluster } from "./control/cluster.js";
import type { ManagerIdentity } from "./seams.js";

export interface NewSwarm {
  readonly identity: ManagerIdentity;
  readonly tls: Identity;
  readonly cluster: InitCluster;
}

// The first member's; later ones are drawn (loops/membership.ts).
const FIRST_RAFT_ID_LIMIT = 2 ** 48 - 1;

export async function newSwarm(
  request: InitRequest,
  nowMs: number,
  random: Random,
): Promise<NewSwarm | Refusal> {
  const advertised = parseHostPort(request.advertiseAddr, 0);
  if (!advertised || !parseHostPort(request.listenAddr, 0)) {
    return refuse("invalid-argument", "listen and advertise address need host and port");
  }
  const csr = await checkCsr(request.csr);
  if (isRefusal(csr)) return csr;
  const root = await createRoot(newNodeKey(), nowMs, random);
  const issuer = await issuerInfo(root.certificate);
  const clusterId = newSwarmId(random);
  const nodeId = newSwarmId(random);
  const raftId = random.below(FIRST_RAFT_ID_LIMIT) + 1;
  const wanted = request.spec?.certExpiryMs ?? 0;
  const lifeMs = wanted === 0 ? CERT_LIFE_MS : Math.max(wanted, CERT_LIFE_MIN_MS);
  const wish = { nodeId, role: Role.MANAGER, clusterId, lifeMs };
  const certificate = await issueLeaf(root, csr, wish, nowMs, random);
  const { listenAddr, advertiseAddr } = request;
  return {
    identity: { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy: "" },
    tls: { certificate, privateKey: request.privateKey, rootCaCert: root.certificate },
    cluster: {
      clusterId,
      spec: request.spec,
      rootCaCert: root.certificate,
      rootCaKey: root.privateKey,
      issuerSubject: issuer.subject,
      issuerPublicKey: issuer.publicKey,
      joinSecrets: { worker: newJoinSecret(random), manager: newJoinSecret(random) },
      unlockKey: request.spec?.autolockManagers ? newUnlockKey(random) : Buffer.alloc(0),
      defaultAddrPools: request.defaultAddrPools,
      subnetSize: request.subnetSize,
      dataPathPort: request.dataPathPort,
      node: {
        id: nodeId,
        hostname: request.hostname,
        raftId,
        managerAddr: advertiseAddr,
        addr: advertised.host,
        dataPathAddr: request.dataPathAddr || advertised.host,
        availability: request.availability,
        publicKeyDigest: csr.publicKeyDigest,
      },
    },
  };
}
