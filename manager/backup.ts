// Backups: the swarm's state as a majority agrees on it, in a file that only its key opens; and a swarm of one
// manager from such a file (docs/recovery.md).
import { parseHostPort } from "../common/address.js";
import { countsOf, decodeBackup, encodeBackup, newBackupKey } from "../common/backup-file.js";
import type { Clock } from "../common/clock.js";
import { isRefusal, type Refusal, refuse } from "../common/fault.js";
import { newSwarmId } from "../common/ids.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import { SKEIN_VERSION } from "../common/version.js";
import type { BackupResponse, Identity, RestoreRequest } from "../proto/gen/admin.js";
import type { RaftSnapshot } from "../proto/gen/raft.js";
import { StoreSnapshot, type SwarmBackup } from "../proto/gen/store.js";
import {
  Availability,
  type Cluster,
  Node,
  NodeDescription,
  NodeState,
  Role,
} from "../proto/gen/types.js";
import { certLifeMs } from "./ca/issue.js";
import { signingCa, trustedRoots } from "./ca/root-rotation.js";
import { checkCsr, issueLeaf } from "./certs/authority.js";
import { begunAnew } from "./control/recovery.js";
import type { Member } from "./member.js";
import type { ManagerIdentity } from "./seams.js";
import { Store } from "./store/store.js";
import type { StoreView } from "./store/view.js";

const SALT_BYTES = 32;
// As for the first member of a swarm (new-swarm.ts).
const RAFT_ID_LIMIT = 2 ** 48 - 1;

/** Linearizable: everything is in it that was acknowledged to anybody before it was asked for. */
export async function makeBackup(
  member: Member,
  {
    clock,
    random,
    timing,
  }: { readonly clock: Clock; readonly random: Random; readonly timing: Timing },
): Promise<BackupResponse | Refusal> {
  const late = new AbortController();
  const timer = clock.sleep(timing.dialMs, late.signal).then(
    () => late.abort(),
    () => {},
  );
  try {
    await member.consensus.readBarrier(late.signal);
  } catch {
    return refuse(
      "unavailable",
      "most managers do not answer now, so nobody can say that what this one holds is all of the swarm. Bring them back, or `skein swarm recover`, first",
    );
  } finally {
    late.abort();
    await timer;
  }
  const { store, consensus } = member;
  const cluster = store.view.cluster();
  if (cluster === undefined) return refuse("failed-precondition", "there is no swarm yet");
  const { raftId, term } = consensus.status();
  const index = store.revision;
  const key = newBackupKey((bytes) => random.bytes(bytes));
  const backup: SwarmBackup = {
    clusterId: cluster.id,
    nodeId: store.view.nodeByRaftId(raftId)?.id ?? "",
    madeAtMs: clock.nowMs(),
    index,
    term,
    version: SKEIN_VERSION,
    store: StoreSnapshot.decode(store.snapshot()),
  };
  const file = encodeBackup(key, random.bytes(SALT_BYTES), backup);
  return { file, key, clusterId: cluster.id, index };
}

/** What a restored swarm begins with. Nothing is written here. */
export interface RestoredSwarm {
  readonly identity: ManagerIdentity;
  readonly tls: Identity;
  readonly snapshot: RaftSnapshot;
  readonly dataPathPort: number;
  /** Whether this machine is a node that the backup did not have. */
  readonly isNew: boolean;
}

export async function restoredSwarm(
  request: RestoreRequest,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<RestoredSwarm | Refusal> {
  const backup = decodeBackup(request.key, request.file);
  if (isRefusal(backup))
    return refuse(backup.code, `the backup is not restored: ${backup.message}`);
  const store = new Store();
  store.restore(StoreSnapshot.encode(backup.store ?? StoreSnapshot.create()).finish());
  const cluster = store.view.cluster();
  if (cluster === undefined || countsOf(backup).nodes === 0) {
    return refuse("invalid-argument", "the backup holds no swarm");
  }
  const csr = await checkCsr(request.csr);
  if (isRefusal(csr)) return csr;
  const place = placeFor(store.view, request);
  if (isRefusal(place)) return place;
  const nowMs = clock.nowMs();
  const nodeId = place?.id ?? newSwarmId(random);
  const raftId = random.below(RAFT_ID_LIMIT) + 1;
  // A root that is being rotated goes on being so.
  const signing = signingCa(cluster);
  if (signing.privateKey.length === 0) {
    return refuse("failed-precondition", "the backup has no key of the certificate authority");
  }
  const wish = { nodeId, role: Role.MANAGER, clusterId: cluster.id, lifeMs: certLifeMs(cluster) };
  const certificate = await issueLeaf(signing, csr, wish, nowMs, random);
  const { listenAddr, advertiseAddr, privateKey } = request;
  const self = { raftId, nodeId, addr: advertiseAddr, learner: false };
  const node = (known: Node | undefined) =>
    restoredNode(known, { ...request, nodeId, cluster, publicKeyDigest: csr.publicKeyDigest });
  const last = { index: backup.index, term: backup.term };
  const snapshot = begunAnew({ store, last }, { nowMs, self, node });
  if (isRefusal(snapshot)) return snapshot;
  const clusterId = cluster.id;
  return {
    identity: { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy: "" },
    tls: { certificate, privateKey, rootCaCert: trustedRoots(cluster) },
    snapshot,
    dataPathPort: cluster.dataPathPort,
    isNew: place === undefined,
  };
}

/** The node that this machine becomes; undefined: a new one. A person may name it; else it is the manager of its name. */
function placeFor(
  view: StoreView,
  { node, hostname }: Pick<RestoreRequest, "node" | "hostname">,
): Node | Refusal | undefined {
  const all = [...view.nodes()];
  const named = (name: string) => (each: Node) => each.description?.hostname === name;
  if (node === "") {
    const found = all.filter((each) => each.role === Role.MANAGER).filter(named(hostname));
    return found.length === 1 ? found[0] : undefined;
  }
  const byId = view.node(node);
  if (byId !== undefined) return byId;
  const found = all.filter(named(node));
  if (found.length === 1) return found[0];
  const why =
    found.length === 0 ? "the backup has no node" : `the backup has ${found.length} nodes`;
  return refuse("not-found", `${why} ${node}`);
}

function restoredNode(
  known: Node | undefined,
  self: RestoreRequest & {
    readonly nodeId: string;
    readonly cluster: Cluster;
    readonly publicKeyDigest: Buffer;
  },
): Node {
  const { nodeId, cluster, publicKeyDigest, hostname, advertiseAddr, dataPathAddr } = self;
  const base =
    known ??
    Node.fromPartial({ id: nodeId, description: NodeDescription.fromPartial({ hostname }) });
  const spec = known?.spec ?? { name: "", labels: {}, availability: Availability.ACTIVE };
  return {
    ...base,
    meta: known?.meta,
    spec: { ...spec, role: Role.MANAGER },
    role: Role.MANAGER,
    state: NodeState.READY,
    message: "",
    addr: hostOf(advertiseAddr),
    dataPathAddr: dataPathAddr || hostOf(advertiseAddr),
    publicKeyDigest,
    certIssuerSubject: cluster.issuerSubject,
    certIssuerPublicKey: cluster.issuerPublicKey,
    silent: false,
  };
}

function hostOf(addr: string): string {
  return parseHostPort(addr, 0)?.host ?? addr;
}
