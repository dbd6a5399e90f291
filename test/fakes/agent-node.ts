// An AgentNode without kernel, disk or manager process. Several on one FakeSwarm are a swarm.

import { NO_IMAGES } from "../../agent/loops/none.js";
import { LOCKED, locked, notLocked, wrongUnlockKey } from "../../agent/member/words.js";
import type {
  AgentNode,
  Attachment,
  Attachments,
  AttachWish,
  HostFacts,
  Images,
  InitSwarm,
  JoinSwarm,
  LocalNodeState,
  Membership,
  NodeEvent,
  SwarmStatus,
  Volumes,
} from "../../agent/seams.js";
import { type Clock, systemClock } from "../../common/clock.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import { joinTokenOf } from "../../common/join-token.js";
import { type Random, seededRandom, systemRandom } from "../../common/random.js";
import { parseUnlockKey } from "../../common/unlock-key.js";
import { Topic } from "../../common/watch.js";
import { type BackupResponse, RecoverResponse } from "../../proto/gen/admin.js";
import type { ControlClient, Inquiry, InquiryPart } from "../../proto/gen/control.js";
import { type Endpoint, type Network, Role } from "../../proto/gen/types.js";
import { FakeContainers } from "./agent-containers.js";
import { FakeSwarm, type SwarmKind } from "./agent-swarm.js";
import { fakeLocalNets } from "./local-nets.js";
import { NO_VOLUMES } from "./none.js";

const RECENT_MAX = 256;

const WORDS = {
  already:
    'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
  notPart: "This node is not part of a swarm",
  noManager:
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  worker:
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
  lastManager:
    "You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ",
  badAddress:
    "advertise address must be a non-zero IP address or network interface (with optional port number)",
};

/** Where swarms are found by the address of one of their managers. */
export class FakeWorld {
  readonly swarms = new Map<string, FakeSwarm>();
}

export interface FakeHost {
  readonly hostname: string;
  readonly addr: string;
}

export class FakeAgentNode implements AgentNode, Membership {
  readonly random: Random;
  readonly containers: FakeContainers;
  readonly membership: Membership = this;
  readonly #recent: NodeEvent[] = [];
  readonly #topic = new Topic<NodeEvent>();
  readonly #attachments: Attachment[] = [];
  state: LocalNodeState = "inactive";
  error = "";
  nodeId = "";
  swarm: FakeSwarm | undefined;

  constructor(
    readonly facts: FakeHost,
    readonly world: FakeWorld = new FakeWorld(),
    readonly clock: Clock = systemClock,
  ) {
    this.random = seededRandom(Number(facts.addr.replace(/\D/g, "")) % 65_521);
    this.containers = new FakeContainers(this);
  }

  readonly attachments: Attachments = {
    list: () => this.#attachments,
    attach: (wish) => this.#attachWish(wish),
    detach: (ref) => this.#detachWish(ref),
  };

  readonly events = {
    recent: () => this.#recent,
    follow: (listener: (event: NodeEvent) => void) => this.#topic.subscribe(listener),
  };

  publish(event: Omit<NodeEvent, "timeNs">): void {
    const whole = { ...event, timeNs: BigInt(this.clock.nowMs()) * 1_000_000n + 123_456n };
    this.#recent.push(whole);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    this.#topic.publish(whole);
  }

  // ---- Membership -------------------------------------------------------------------------------

  status(): SwarmStatus {
    const role = this.swarm?.node(this.nodeId)?.role ?? Role.WORKER;
    const managers = (this.swarm?.nodes ?? []).flatMap((node) =>
      node.manager ? [{ nodeId: node.id, addr: node.manager.addr }] : [],
    );
    return {
      state: this.state,
      error: this.error,
      nodeId: this.nodeId,
      clusterId: this.swarm?.cluster.id ?? "",
      nodeAddr: this.swarm ? this.facts.addr : "",
      dataPathAddr: this.swarm ? this.facts.addr : "",
      dataPathPort: 4789,
      role,
      rootCaCert: this.swarm?.cluster.rootCaCert ?? new Uint8Array(),
      managers,
    };
  }

  async recover(): Promise<RecoverResponse | Refusal> {
    if (!this.swarm) return refuse("unavailable", WORDS.worker);
    return this.plan;
  }
  async backup(): Promise<BackupResponse | Refusal> {
    return refuse("unavailable", WORDS.worker);
  }
  async restore(): Promise<Refusal> {
    return refuse("unavailable", WORDS.already);
  }
  /** What recovering comes to. */
  plan = RecoverResponse.fromPartial({ isWhole: true });

  async init(request: InitSwarm): Promise<{ readonly nodeId: string } | Refusal> {
    if (this.swarm && !request.forceNewCluster) return refuse("unavailable", WORDS.already);
    if (request.advertiseAddr !== "" && !/^[\d.]+(:\d+)?$|^eth0$/.test(request.advertiseAddr)) {
      return refuse("invalid-argument", WORDS.badAddress);
    }
    this.swarm = new FakeSwarm(() => this.clock.nowMs(), request.spec);
    this.swarm.events.on("event", (event) => {
      this.publish({
        type: event.kind as SwarmKind,
        action: event.action,
        id: event.id,
        attributes: { name: event.name },
        scope: "swarm",
      });
    });
    const port = Number(request.listenAddr.split(":")[1] ?? 2377);
    this.nodeId = this.swarm.newId();
    this.swarm.addNode({ id: this.nodeId, ...this.facts }, Role.MANAGER, port);
    this.world.swarms.set(`${this.facts.addr}:${port}`, this.swarm);
    this.state = "active";
    await this.localNets.ensureGateway();
    return { nodeId: this.nodeId };
  }

  async join(request: JoinSwarm): Promise<{ readonly role: Role } | Refusal> {
    if (this.swarm) return refuse("unavailable", WORDS.already);
    const token = /^SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})$/.exec(request.token);
    if (!token) return refuse("invalid-argument", "invalid join token");
    const swarm = this.world.swarms.get(request.remoteAddrs[0] ?? "");
    if (!swarm) return refuse("unavailable", "connection refused");
    const { rootCaCert, joinSecrets } = swarm.cluster;
    const role = [Role.WORKER, Role.MANAGER].find((each) => {
      const secret = each === Role.MANAGER ? joinSecrets?.manager : joinSecrets?.worker;
      return request.token === joinTokenOf(rootCaCert, secret ?? "");
    });
    if (role === undefined) {
      const sentence = "A valid join token is necessary to join this cluster";
      return refuse("invalid-argument", `rpc error: code = InvalidArgument desc = ${sentence}`);
    }
    this.swarm = swarm;
    this.nodeId = swarm.newId();
    swarm.addNode({ id: this.nodeId, ...this.facts }, role);
    this.state = "active";
    await this.localNets.ensureGateway();
    return { role };
  }

  async leave(force: boolean): Promise<Refusal | undefined> {
    if (!this.swarm) return refuse("unavailable", WORDS.notPart);
    if (this.status().role === Role.MANAGER && !force) {
      return refuse("unavailable", WORDS.lastManager);
    }
    this.swarm.changeNode(this.nodeId, { state: 1 });
    this.swarm = undefined;
    this.nodeId = "";
    this.state = "inactive";
    return undefined;
  }

  async unlock(unlockKey: string): Promise<Refusal | undefined> {
    if (this.state !== "locked") {
      const client = this.control();
      return isRefusal(client) ? client : notLocked();
    }
    const key = parseUnlockKey(unlockKey);
    if (isRefusal(key)) return key;
    if (!this.swarm?.cluster.unlockKey.equals(key)) return wrongUnlockKey();
    this.state = "active";
    this.error = "";
    return undefined;
  }

  /** As after a start in an autolocked swarm. */
  lock(): void {
    this.state = "locked";
    this.error = LOCKED;
  }

  control(): ControlClient | Refusal {
    if (this.state === "locked") return locked();
    if (!this.swarm) return refuse("unavailable", WORDS.noManager);
    if (this.status().role !== Role.MANAGER) return refuse("unavailable", WORDS.worker);
    return this.swarm.client();
  }

  async setAddr(nodeId: string, addr: string) {
    if (!this.status().managers.some((each) => each.nodeId === nodeId) && nodeId !== this.nodeId) {
      return refuse("not-found", `node ${nodeId} is no manager that this node knows`);
    }
    return { addr: addr.includes(":") ? addr : `${addr}:2377`, hereOnly: nodeId !== this.nodeId };
  }

  async managerStatus() {
    if (isRefusal(this.control())) return undefined;
    return {
      state: "running",
      message: "",
      raftId: 1,
      term: 2,
      leaderRaftId: 1,
      leaderNodeId: this.swarm?.leaderNodeId ?? "",
      commit: 30,
      applied: 30,
      members: [
        { raftId: 1, nodeId: this.nodeId, addr: `${this.facts.addr}:2377`, learner: false },
      ],
      listenAddr: "0.0.0.0:2377",
      advertiseAddr: `${this.facts.addr}:2377`,
      leaderAddr: `${this.facts.addr}:2377`,
      progress: [],
      port: undefined,
    };
  }

  async managerReports() {
    return undefined;
  }

  // ---- Networks ---------------------------------------------------------------------------------

  /** For a container or an attachment of this node: the endpoint and its network. */
  giveEndpoint(
    network: string,
    name: string,
    ownerId: string,
  ): { readonly endpoint: Endpoint; readonly network: Network } | Refusal {
    if (!this.swarm) return refuse("not-found", `network ${network} not found`);
    const endpoint = this.swarm.attach(network, this.nodeId, name, ownerId);
    if (isRefusal(endpoint)) return endpoint;
    const found = this.swarm.networks.find(({ id }) => id === endpoint.networkId) as Network;
    return { endpoint, network: found };
  }

  takeEndpoint(endpointId: string): void {
    this.swarm?.detach(endpointId);
  }

  async #attachWish(wish: AttachWish): Promise<Attachment | Refusal> {
    const id = newLocalId(this.random);
    const given = this.giveEndpoint(wish.network, wish.name || this.facts.hostname, id);
    if (isRefusal(given)) return given;
    const attachment: Attachment = {
      id,
      wish,
      interfaceName: wish.interfaceName || "skein0",
      ...given,
      createdAtMs: this.clock.nowMs(),
      problem: "",
    };
    this.#attachments.push(attachment);
    return attachment;
  }

  async #detachWish(ref: string): Promise<Refusal | undefined> {
    const i = this.#attachments.findIndex(
      ({ id, network, wish }) =>
        id.startsWith(ref) || network.spec?.name === ref || wish.name === ref,
    );
    const [gone] = i < 0 ? [] : this.#attachments.splice(i, 1);
    if (!gone) return refuse("not-found", `No such attachment: ${ref}`);
    this.swarm?.detach(gone.endpoint.id);
    return undefined;
  }

  localNetworks() {
    const swarm = this.swarm;
    if (!swarm) return [];
    return swarm.networks.flatMap((network) => {
      const all = swarm.endpoints.filter((each) => each.networkId === network.id);
      const endpoints = all.filter((each) => each.nodeId === this.nodeId);
      if (endpoints.length === 0) return [];
      const peers = swarm.nodes
        .filter((node) => node.id !== this.nodeId && all.some((each) => each.nodeId === node.id))
        .map((node) => ({
          nodeId: node.id,
          addr: node.dataPathAddr,
          hostname: node.description?.hostname ?? "",
        }));
      return [{ network, endpoints, peers }];
    });
  }

  images: Images = NO_IMAGES;
  volumes: Volumes = NO_VOLUMES;
  readonly localNets = fakeLocalNets(
    { publish: ({ timeNs: _, ...event }) => this.publish(event) },
    systemRandom,
    { ...systemClock, nowMs: () => this.clock.nowMs() },
  );

  host(): HostFacts {
    return {
      hostname: this.facts.hostname,
      kernelVersion: "6.18.44",
      operatingSystem: "Debian GNU/Linux 12 (bookworm) (containerized)",
      osVersion: "12",
      architecture: "x86_64",
      cpus: 2,
      memoryBytes: 25_276_502_016,
      stateDir: "/var/lib/skein",
      containerd: undefined,
      cgroupVersion: 1,
      labels: {},
      genericResources: [],
      dataPath: { wish: "auto", path: "kernel", why: [] },
      agentId: `00000000-0000-4000-8000-${this.facts.addr.replace(/\D/g, "").padStart(12, "0")}`,
    };
  }

  /** What is wrong with the machine. */
  trouble: readonly string[] = [];

  found: ReturnType<AgentNode["findings"]> = [];

  findings() {
    return this.found;
  }

  /** What every inquiry is answered. */
  parts: readonly InquiryPart["part"][] = [];
  readonly inquiries: Inquiry[] = [];
  async *inquire(inquiry: Inquiry): AsyncGenerator<InquiryPart["part"]> {
    this.inquiries.push(inquiry);
    yield* this.parts;
  }

  warnings(): readonly string[] {
    return this.trouble;
  }

  async metrics(): Promise<string> {
    return "# HELP skein_fake A fake.\n# TYPE skein_fake gauge\nskein_fake 1\n";
  }
}
