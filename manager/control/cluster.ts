// The swarm as a whole: how it is made, and what of it can be changed.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { UpdateClusterRequest } from "../../proto/gen/control.js";
import {
  type Availability,
  type Cluster,
  type JoinSecrets,
  type Network,
  type Node,
  NodeState,
  Role,
} from "../../proto/gen/types.js";
import { checkPools } from "../ipam/pools.js";
import { versionOf } from "../store/objects.js";
import type { Draft } from "../store/view.js";
import { completedClusterSpec } from "./cluster-spec.js";
import type { Context } from "./context.js";
import { createNetwork } from "./network.js";

// Docker's own (docs: `docker swarm init --data-path-port`).
const DATA_PATH_PORT_DEFAULT = 4789;
const DATA_PATH_PORT_MIN = 1024;
const DATA_PATH_PORT_MAX = 49151;
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
  if (dataPathPort < DATA_PATH_PORT_MIN || dataPathPort > DATA_PATH_PORT_MAX) {
    const range = `${DATA_PATH_PORT_MIN}-${DATA_PATH_PORT_MAX}`;
    return refuse(
      "invalid-argument",
      `invalid data path port ${dataPathPort}: it must be ${range}`,
    );
  }
  const cluster: Cluster = {
    id: request.clusterId,
    meta: undefined,
    spec,
    rootCaCert: request.rootCaCert,
    rootCaKey: request.rootCaKey,
    joinSecrets: request.joinSecrets,
    defaultAddrPools: request.defaultAddrPools,
    subnetSize,
    dataPathPort,
    removedNodes: [],
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
    description: {
      hostname,
      platform: undefined,
      nanoCpus: 0,
      memoryBytes: 0,
      engineVersion: "",
      engineLabels: {},
      plugins: [],
      kernelVersion: "",
    },
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

/** `secrets` are fresh ones, used where the request asks to rotate. Without a spec it only rotates. */
export function updateCluster(
  draft: Draft,
  request: UpdateClusterRequest,
  secrets: JoinSecrets,
): Cluster | Refusal {
  const before = draft.cluster();
  if (before === undefined) return refuse("not-found", "there is no swarm yet");
  if (request.version !== versionOf(before)) {
    return refuse("failed-precondition", "update out of sequence");
  }
  const spec = completedClusterSpec(request.spec ?? before.spec);
  if (isRefusal(spec)) return spec;
  if (spec.name !== before.spec?.name) {
    return refuse("invalid-argument", "modification of cluster name is not allowed");
  }
  const joinSecrets: JoinSecrets = {
    worker: request.rotateWorkerToken ? secrets.worker : (before.joinSecrets?.worker ?? ""),
    manager: request.rotateManagerToken ? secrets.manager : (before.joinSecrets?.manager ?? ""),
  };
  const cluster: Cluster = { ...before, spec, joinSecrets };
  draft.update("cluster", cluster);
  return draft.cluster() ?? cluster;
}
