// The swarm as a whole: how it is made, and what of it can be changed.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { UpdateClusterRequest } from "../../proto/gen/control.js";
import {
  type Availability,
  type Cluster,
  type ClusterSpec,
  type JoinSecrets,
  type Network,
  type Node,
  NodeDescription,
  NodeState,
  Role,
} from "../../proto/gen/types.js";
import { longestCertLifeMs } from "../ca/barred.js";
import { changedRoot, type RootChange } from "../ca/root-rotation.js";
import { checkPools } from "../ipam/pools.js";
import { versionOf } from "../store/objects.js";
import type { Draft } from "../store/view.js";
import { completedClusterSpec } from "./cluster-spec.js";
import type { Context } from "./context.js";
import { checkDataPathPort, DATA_PATH_PORT_DEFAULT, startedMove } from "./data-path-port.js";
import { createNetwork } from "./network.js";

const SUBNET_SIZE_DEFAULT = 24;

/** Ids and keys are made before there is a store: the first certificate names both. */
export interface InitCluster {
  readonly clusterId: string;
  readonly spec: Cluster["spec"];
  readonly rootCaCert: Buffer;
  readonly rootCaKey: Buffer;
  readonly issuerSubject: Buffer;
  readonly issuerPublicKey: Buffer;
  readonly joinSecrets: JoinSecrets;
  /** Empty: the swarm is not autolocked. */
  readonly unlockKey: Buffer;
  /** Empty: 10.0.0.0/8. */
  readonly defaultAddrPools: readonly string[];
  /** 0: 24. */
  readonly subnetSize: number;
  /** 0: 4789. */
  readonly dataPathPort: number;
  readonly node: FirstNode;
}

export interface FirstNode {
  readonly id: string;
  readonly hostname: string;
  readonly raftId: number;
  /** Where its port 2377 is reached ("192.168.33.10:2377"). */
  readonly managerAddr: string;
  /** Without port. */
  readonly addr: string;
  readonly dataPathAddr: string;
  readonly availability: Availability;
  readonly publicKeyDigest: Buffer;
}

export interface NewSwarm {
  readonly cluster: Cluster;
  readonly node: Node;
  readonly ingress: Network;
}

/** Cluster, first node and ingress network, in one transaction. */
export function initCluster(draft: Draft, request: InitCluster, ctx: Context): NewSwarm | Refusal {
  if (draft.cluster() !== undefined) {
    return refuse("already-exists", "this swarm is already initialized");
  }
  const spec = completedClusterSpec(request.spec);
  if (isRefusal(spec)) return spec;
  const subnetSize = request.subnetSize === 0 ? SUBNET_SIZE_DEFAULT : request.subnetSize;
  const pools = checkPools(request.defaultAddrPools, subnetSize);
  if (isRefusal(pools)) return pools;
  const dataPathPort = request.dataPathPort === 0 ? DATA_PATH_PORT_DEFAULT : request.dataPathPort;
  const wrongPort = checkDataPathPort(dataPathPort);
  if (wrongPort !== undefined) return wrongPort;
  const cluster: Cluster = {
    id: request.clusterId,
    meta: undefined,
    spec,
    rootCaCert: request.rootCaCert,
    rootCaKey: request.rootCaKey,
    joinSecrets: request.joinSecrets,
    unlockKey: request.unlockKey,
    defaultAddrPools: request.defaultAddrPools,
    subnetSize,
    dataPathPort,
    dataPathMove: undefined,
    dataPathProblem: "",
    removedNodes: [],
    removed: [],
    longestCertLifeMs: 0,
    generation: 0,
    issuerSubject: request.issuerSubject,
    issuerPublicKey: request.issuerPublicKey,
  };
  const node = firstNode(request);
  draft.create("cluster", cluster);
  draft.create("node", node);
  const ingress = createNetwork(draft, { spec: INGRESS_SPEC }, ctx);
  return isRefusal(ingress) ? ingress : { cluster, node, ingress };
}

function firstNode(request: InitCluster): Node {
  const { id, hostname, raftId, managerAddr, addr, dataPathAddr } = request.node;
  return {
    id,
    meta: undefined,
    spec: { name: "", labels: {}, role: Role.MANAGER, availability: request.node.availability },
    description: NodeDescription.create({ hostname }),
    role: Role.MANAGER,
    // Its own agent asks for the swarm, so it is there.
    state: NodeState.READY,
    message: "",
    addr,
    dataPathAddr,
    manager: { raftId, addr: managerAddr },
    publicKeyDigest: request.node.publicKeyDigest,
    certIssuerSubject: request.issuerSubject,
    certIssuerPublicKey: request.issuerPublicKey,
    silent: false,
  };
}

const INGRESS_SPEC: Network["spec"] = {
  name: "ingress",
  labels: {},
  driver: "overlay",
  driverOpts: {},
  attachable: false,
  internal: false,
  ingress: true,
  ipv6: false,
  ipam: [],
  ipamDriver: "default",
  ipamOptions: {},
};

/** Fresh ones, used where a request asks to rotate. */
export interface FreshSecrets extends JoinSecrets {
  readonly unlockKey: Buffer;
}

/**
 * `secrets` are fresh ones, used where the request asks to rotate. `root` was made from the cluster of the version that
 * the request names. Without a spec it only rotates.
 */
export function updateCluster(
  draft: Draft,
  request: UpdateClusterRequest,
  secrets: FreshSecrets,
  root: RootChange = { kind: "none" },
): Cluster | Refusal {
  const before = draft.cluster();
  if (before === undefined) return refuse("not-found", "there is no swarm yet");
  if (request.version !== versionOf(before)) {
    return refuse("failed-precondition", "update out of sequence");
  }
  const spec = completedClusterSpec(withUnsaid(request.spec, before.spec));
  if (isRefusal(spec)) return spec;
  if (spec.name !== before.spec?.name) {
    return refuse("invalid-argument", "modification of cluster name is not allowed");
  }
  const joinSecrets: JoinSecrets = {
    worker: request.rotateWorkerToken ? secrets.worker : (before.joinSecrets?.worker ?? ""),
    manager: request.rotateManagerToken ? secrets.manager : (before.joinSecrets?.manager ?? ""),
  };
  const moved = startedMove(before, request.dataPathPort);
  if (isRefusal(moved)) return moved;
  const unlockKey = unlockKeyAfter(before, { spec, request, fresh: secrets.unlockKey });
  const cluster: Cluster = {
    ...before,
    ...moved,
    ...changedRoot(before, root),
    spec,
    joinSecrets,
    unlockKey,
    longestCertLifeMs: longestCertLifeMs(before),
  };
  draft.update("cluster", cluster);
  return draft.cluster() ?? cluster;
}

/** As SwarmKit: autolock makes a key, and its end forgets it; without autolock there is nothing to rotate. */
function unlockKeyAfter(before: Cluster, { spec, request, fresh }: UnlockKeyChange): Buffer {
  if (!spec.autolockManagers) return Buffer.alloc(0);
  return request.rotateUnlockKey || before.unlockKey.length === 0 ? fresh : before.unlockKey;
}

interface UnlockKeyChange {
  readonly spec: ClusterSpec;
  readonly request: UpdateClusterRequest;
  readonly fresh: Buffer;
}

/** Docker's clients know nothing of some settings, and others leave a number out that is not theirs to change. */
function withUnsaid(asked: ClusterSpec | undefined, before: ClusterSpec | undefined) {
  if (asked === undefined || before === undefined) return asked ?? before;
  const { forceRotate, expiredRenewalMs } = before;
  return {
    ...asked,
    forceRotate: asked.forceRotate || forceRotate,
    expiredRenewalMs: asked.expiredRenewalMs ?? expiredRenewalMs,
  };
}
