// A swarm in memory, and a ControlClient that speaks of it: enough of a manager for the local API to be
// tested without daemons. It knows one way to allocate (10.0.N.0/24, VNI 4096 + N) and the refusals that
// the transcripts show; what a real manager decides is tested where it decides.
import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { status as GrpcStatus, Metadata, type ServiceError } from "@grpc/grpc-js";
import { type Refusal, refuse } from "../../common/fault.js";
import { newSwarmId } from "../../common/ids.js";
import { seededRandom, systemRandom } from "../../common/random.js";
import { newUnlockKey } from "../../common/unlock-key.js";
import type {
  ControlClient,
  CreateNetworkRequest,
  NodeCheck,
  ProbeRequest,
  ProbeResult,
  RemoveNodeRequest,
  SwarmEvent,
  UpdateClusterRequest,
  UpdateNodeRequest,
} from "../../proto/gen/control.js";
import {
  Availability,
  type Cluster,
  type ClusterSpec,
  type Endpoint,
  EndpointKind,
  type Meta,
  type Network,
  NetworkSpec,
  type Node,
  NodeState,
  Role,
} from "../../proto/gen/types.js";
import { FakeServices } from "./agent-swarm-services.js";

// A certificate of nobody: the key was thrown away when it was made.
const FAKE_ROOT = Buffer.from(`-----BEGIN CERTIFICATE-----
MIIBajCCARCgAwIBAgIUZxg6LAYK1sJ/+E7mJlin9F9FSYowCgYIKoZIzj0EAwIw
EzERMA8GA1UEAxMIc3dhcm0tY2EwHhcNMjYxMTIxMDM1ODAwWhcNNDYxMTE2MDM1
ODAwWjATMREwDwYDVQQDEwhzd2FybS1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABKgchpl53a5LOBwvNc/JoDvcVVU4z6ZlhzKB3K781IRRhqWdXGk86j7O+Se/
PXxoigTJ3WtKUSC5aElYH5d35N6jQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMB
Af8EBTADAQH/MB0GA1UdDgQWBBQpp0CF0SFPeVDfQCvWkXfjn61GvzAKBggqhkjO
PQQDAgNIADBFAiEA3OJfnXAg1DM4LiwDyLsG+wnqwTvUXmOne/GfOpZTqxwCIGzU
vNWiRZV0xZqIfn2iaMQU5wSRKeMoa10k3s8J6N27
-----END CERTIFICATE-----
`);

const REFUSAL_STATUS: Readonly<Record<Refusal["code"], GrpcStatus>> = {
  "invalid-argument": GrpcStatus.INVALID_ARGUMENT,
  "not-found": GrpcStatus.NOT_FOUND,
  "already-exists": GrpcStatus.ALREADY_EXISTS,
  "failed-precondition": GrpcStatus.FAILED_PRECONDITION,
  "permission-denied": GrpcStatus.PERMISSION_DENIED,
  "resource-exhausted": GrpcStatus.RESOURCE_EXHAUSTED,
  unavailable: GrpcStatus.UNAVAILABLE,
  unimplemented: GrpcStatus.UNIMPLEMENTED,
};

export type SwarmKind = "network" | "node" | "service" | "secret" | "config";

export interface FakeNodeFacts {
  readonly id: string;
  readonly hostname: string;
  readonly addr: string;
}

export class FakeSwarm {
  readonly random = seededRandom(2377);
  readonly nodes: Node[] = [];
  readonly networks: Network[] = [];
  readonly endpoints: Endpoint[] = [];
  readonly work = new FakeServices(this);
  readonly events = new EventEmitter<{ event: [SwarmEvent] }>();
  cluster: Cluster;
  leaderNodeId = "";
  unheardManagers: string[] = [];
  /** What `probeNetwork` answers. */
  probeResults: readonly ProbeResult[] = [];
  /** What `checkSwarm` answers. */
  checkResults: readonly NodeCheck[] = [];
  /** Refuses every call, as a manager without a leader does. */
  outage: Refusal | undefined;
  #version = 10;
  #secrets = 0;
  #subnets = 0;

  constructor(
    readonly nowMs: () => number,
    spec: Partial<ClusterSpec> = {},
  ) {
    const given = Object.fromEntries(Object.entries(spec).filter(([, value]) => value));
    this.cluster = {
      id: this.newId(),
      meta: this.meta(),
      spec: {
        name: "default",
        labels: {},
        taskHistoryLimit: 5,
        heartbeatPeriodMs: 5_000,
        certExpiryMs: 90 * 86_400_000,
        snapshotInterval: 10_000,
        keepOldSnapshots: 0,
        autolockManagers: false,
        ...given,
      },
      rootCaCert: FAKE_ROOT,
      rootCaKey: Buffer.alloc(0),
      joinSecrets: { worker: this.secret(), manager: this.secret() },
      unlockKey: spec.autolockManagers ? newUnlockKey(systemRandom) : Buffer.alloc(0),
      defaultAddrPools: ["10.0.0.0/8"],
      subnetSize: 24,
      dataPathPort: 4789,
      dataPathMove: undefined,
      dataPathProblem: "",
      removedNodes: [],
      removed: [],
      longestCertLifeMs: 0,
      generation: 0,
      issuerSubject: Buffer.from("MBMxETAPBgNVBAMTCHN3YXJtLWNh", "base64"),
      issuerPublicKey: Buffer.from("public key"),
    };
    this.addNetwork({ name: "ingress", ingress: true });
  }

  newId(): string {
    return newSwarmId(this.random);
  }

  meta(before?: Meta): Meta {
    const version = ++this.#version;
    const updatedAtMs = this.nowMs();
    return {
      version,
      createdVersion: before?.createdVersion ?? version,
      createdAtMs: before?.createdAtMs ?? updatedAtMs,
      updatedAtMs,
    };
  }

  private secret(): string {
    return String(++this.#secrets).padStart(25, "0");
  }

  addNode(facts: FakeNodeFacts, role: Role, managerPort = 2377): Node {
    const node: Node = {
      id: facts.id,
      meta: this.meta(),
      spec: { name: "", labels: {}, role, availability: Availability.ACTIVE },
      description: {
        hostname: facts.hostname,
        platform: { architecture: "x86_64", os: "linux" },
        nanoCpus: 2_000_000_000,
        memoryBytes: 25_276_502_016,
        engineVersion: "20.10.24+dfsg1",
        engineLabels: {},
        plugins: [
          "awslogs",
          "fluentd",
          "gcplogs",
          "gelf",
          "journald",
          "json-file",
          "local",
          "logentries",
          "splunk",
          "syslog",
        ]
          .map((name) => ({ type: "Log", name }))
          .concat(
            ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"].map((name) => ({
              type: "Network",
              name,
            })),
            [{ type: "Volume", name: "local" }],
          ),
        kernelVersion: "6.18.44",
        genericResources: [],
        wireguard: undefined,
        dataPath: undefined,
      },
      role,
      state: NodeState.READY,
      message: "",
      addr: facts.addr,
      dataPathAddr: facts.addr,
      manager: undefined,
      publicKeyDigest: Buffer.alloc(32),
      certIssuerSubject: this.cluster.issuerSubject,
      certIssuerPublicKey: this.cluster.issuerPublicKey,
      silent: false,
    };
    const member = { raftId: this.nodes.length + 1, addr: `${facts.addr}:${managerPort}` };
    this.nodes.push(role === Role.MANAGER ? { ...node, manager: member } : node);
    if (role === Role.MANAGER && this.leaderNodeId === "") this.leaderNodeId = node.id;
    return node;
  }

  node(id: string): Node | undefined {
    return this.nodes.find((each) => each.id === id);
  }

  changeNode(id: string, change: Partial<Node>): void {
    const i = this.nodes.findIndex((each) => each.id === id);
    const node = this.nodes[i];
    if (node) this.nodes[i] = { ...node, ...change, meta: this.meta(node.meta) };
  }

  addNetwork(spec: Partial<NetworkSpec> & { readonly name: string }): Network {
    const number = this.networks.length;
    const asked = spec.ipam ?? [];
    const next = asked.length > 0 ? this.#subnets : this.#subnets++;
    const chosen = { subnet: `10.0.${next}.0/24`, gateway: "", ipRange: "", auxAddresses: {} };
    const subnets = (asked.length > 0 ? asked : [chosen]).map(({ subnet, gateway, ipRange }) => ({
      cidr: subnet,
      gateway: gateway || subnet.replace(/[^.:]*\/.*$/, "1"),
      ipRange,
    }));
    const vnis = spec.driverOpts?.["com.docker.network.driver.overlay.vxlanid_list"];
    const network: Network = {
      id: this.newId(),
      meta: this.meta(),
      spec: { ...NetworkSpec.create({ driver: "overlay", ipamDriver: "default" }), ...spec },
      vni: vnis === undefined ? 4096 + number : Number(vnis.split(",")[0]),
      subnets,
      mtuBytes: 0,
    };
    this.networks.push(network);
    return network;
  }

  /** An endpoint that a person asked for, on the network of this name or id. */
  attach(networkId: string, nodeId: string, name: string, ownerId: string): Endpoint | Refusal {
    const network = this.networks.find(
      ({ id, spec }) => id === networkId || spec?.name === networkId,
    );
    if (!network) return refuse("not-found", `network ${networkId} not found`);
    if (!network.spec?.attachable) {
      return refuse("failed-precondition", `network ${network.spec?.name} not manually attachable`);
    }
    const wish = { nodeId, name, ownerId, kind: EndpointKind.ATTACHMENT, aliases: [] };
    return this.give(network.id, wish) ?? refuse("not-found", `network ${networkId} not found`);
  }

  /** An endpoint on the network, with the next address; undefined: there is no such network. */
  give(
    networkId: string,
    wish: Pick<Endpoint, "nodeId" | "name" | "ownerId" | "kind" | "aliases">,
  ): Endpoint | undefined {
    const network = this.networks.find(({ id }) => id === networkId);
    if (!network) return undefined;
    const last = 2 + this.endpoints.filter((each) => each.networkId === network.id).length;
    const cidr = network.subnets[0]?.cidr ?? "10.0.0.0/24";
    const address = cidr.replace(/\.\d+\//, `.${last}/`);
    const bytes = address.replace(/\/.*/, "").split(".").map(Number);
    const endpoint: Endpoint = {
      id: Buffer.from(this.random.bytes(32)).toString("hex"),
      meta: this.meta(),
      networkId: network.id,
      ...wish,
      ipv4: address,
      ipv6: "",
      mac: `02:42:${bytes.map((each) => each.toString(16).padStart(2, "0")).join(":")}`,
      hostname: "",
      serviceId: wish.kind === EndpointKind.VIP ? wish.ownerId : "",
      serving: false,
    };
    this.endpoints.push(endpoint);
    return endpoint;
  }

  detach(endpointId: string): void {
    const i = this.endpoints.findIndex((each) => each.id === endpointId);
    if (i >= 0) this.endpoints.splice(i, 1);
  }

  announce(kind: SwarmKind, action: string, id: string, name: string): void {
    const timeMs = this.nowMs();
    this.events.emit("event", { kind, action, id, name, timeMs, attributes: {} });
  }

  /** Speaks as the generated client does, for the calls that the API makes. */
  client(): ControlClient {
    const unary =
      <Request, Response>(serve: (request: Request) => Response | Refusal) =>
      (
        request: Request,
        _metadata: Metadata,
        _options: object,
        callback: (error: ServiceError | null, response?: Response) => void,
      ) => {
        const answer = this.outage ?? serve(request);
        queueMicrotask(() => {
          if (isRefusal(answer)) callback(serviceError(answer));
          else callback(null, answer);
        });
        return { cancel: () => undefined };
      };
    const methods = {
      getCluster: unary(() => this.cluster),
      getUnlockKey: unary(() => ({ key: this.cluster.unlockKey })),
      updateCluster: unary((request: UpdateClusterRequest) => this.#updateCluster(request)),
      listNodes: unary(() => ({
        nodes: [...this.nodes],
        leaderNodeId: this.leaderNodeId,
        unheardManagers: this.unheardManagers,
        clocks: [],
      })),
      updateNode: unary((request: UpdateNodeRequest) => this.#updateNode(request)),
      removeNode: unary((request: RemoveNodeRequest) => this.#removeNode(request)),
      listNetworks: unary(() => ({ networks: [...this.networks] })),
      createNetwork: unary((request: CreateNetworkRequest) => this.#createNetwork(request)),
      removeNetwork: unary(({ id }: { id: string }) => this.#removeNetwork(id)),
      listEndpoints: unary(({ networkId }: { networkId: string }) => ({
        endpoints: this.endpoints.filter(
          (each) => networkId === "" || each.networkId === networkId,
        ),
      })),
      ...this.work.methods(unary),
      checkSwarm: () => {
        const stream = Readable.from(this.checkResults);
        return Object.assign(stream, { cancel: () => void stream.destroy() });
      },
      probeNetwork: (_request: ProbeRequest) => {
        const stream = Readable.from(this.probeResults);
        return Object.assign(stream, { cancel: () => void stream.destroy() });
      },
    };
    return methods as unknown as ControlClient;
  }

  #updateCluster(request: UpdateClusterRequest): Cluster | Refusal {
    if (request.version !== this.cluster.meta?.version) {
      return refuse("failed-precondition", "update out of sequence");
    }
    const secrets = this.cluster.joinSecrets;
    this.cluster = {
      ...this.cluster,
      meta: this.meta(this.cluster.meta),
      spec: request.spec,
      unlockKey: this.#unlockKey(request),
      joinSecrets: {
        worker: request.rotateWorkerToken ? this.secret() : (secrets?.worker ?? ""),
        manager: request.rotateManagerToken ? this.secret() : (secrets?.manager ?? ""),
      },
    };
    return this.cluster;
  }

  #unlockKey({ spec, rotateUnlockKey }: UpdateClusterRequest): Buffer {
    if (!spec?.autolockManagers) return Buffer.alloc(0);
    const { unlockKey } = this.cluster;
    return unlockKey.length > 0 && !rotateUnlockKey ? unlockKey : newUnlockKey(systemRandom);
  }

  #updateNode(request: UpdateNodeRequest): Node | Refusal {
    const node = this.node(request.id);
    if (!node) return refuse("not-found", `node ${request.id} not found`);
    if (request.version !== node.meta?.version) {
      return refuse("failed-precondition", "update out of sequence");
    }
    const role = request.spec?.role ?? Role.WORKER;
    const managers = this.nodes.filter((each) => each.spec?.role === Role.MANAGER);
    if (node.spec?.role === Role.MANAGER && role === Role.WORKER && managers.length === 1) {
      return refuse("failed-precondition", "attempting to demote the last manager of the swarm");
    }
    const member = { raftId: 9, addr: `${node.addr}:2377` };
    const manager = role === Role.MANAGER ? (node.manager ?? member) : undefined;
    this.changeNode(node.id, { spec: request.spec, role, manager });
    this.work.nodesChanged();
    this.announce("node", "update", node.id, node.description?.hostname ?? "");
    return this.node(node.id) ?? node;
  }

  #removeNode({ id, force }: RemoveNodeRequest): object | Refusal {
    const node = this.node(id);
    if (!node) return refuse("not-found", `node ${id} not found`);
    if (node.state === NodeState.READY && !force) {
      return refuse("failed-precondition", `node ${id} is not down and can't be removed`);
    }
    this.nodes.splice(this.nodes.indexOf(node), 1);
    return {};
  }

  #createNetwork({ spec }: CreateNetworkRequest): Network | Refusal {
    const name = spec?.name ?? "";
    if (!/^[a-zA-Z0-9](?:[-_.a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(name)) {
      return refuse("invalid-argument", "name must be valid as a DNS name component");
    }
    if (this.networks.some((network) => network.spec?.name === name)) {
      return refuse("already-exists", `network with name ${name} already exists`);
    }
    const ingress = this.networks.find((network) => network.spec?.ingress);
    if (spec?.ingress && ingress) {
      return refuse("already-exists", `ingress network (${ingress.id}) is already present`);
    }
    const network = this.addNetwork({ ...spec, name });
    this.announce("network", "create", network.id, name);
    return network;
  }

  #removeNetwork(id: string): object | Refusal {
    const user = this.endpoints.find((each) => each.networkId === id);
    if (user) {
      return refuse("failed-precondition", `network ${id} is in use by task ${this.newId()}`);
    }
    const i = this.networks.findIndex((network) => network.id === id);
    if (i < 0) return refuse("not-found", `network ${id} not found`);
    const [network] = this.networks.splice(i, 1);
    this.announce("network", "remove", id, network?.spec?.name ?? "");
    return {};
  }
}

function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "refusal";
}

function serviceError(refusal: Refusal): ServiceError {
  const metadata = new Metadata();
  // The mark of common/grpc/status.ts.
  metadata.set("skein-refusal", refusal.code);
  return Object.assign(new Error(refusal.message), {
    code: REFUSAL_STATUS[refusal.code],
    details: refusal.message,
    metadata,
  });
}
