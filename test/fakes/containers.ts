// What the loop of containers needs besides the swarm and a runtime: images, volumes, the machine's files.
import type { Readable } from "node:stream";
import { NO_IMAGES } from "../../agent/loops/none.js";
import type { EventPublisher, LocalJoin, LocalJoins } from "../../agent/loops/placing.js";
import { VolumeLoop } from "../../agent/loops/volumes.js";
import { EMPTY_CONFIG } from "../../agent/oci/image-config.js";
import type { Image, ImageConfig, Images, LocalNetworks } from "../../agent/seams.js";
import type { VolumeDisk, VolumeRecord } from "../../agent/task/keeping.js";
import { systemClock } from "../../common/clock.js";
import { type Refusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { EndpointKind, type Network, NetworkSpec } from "../../proto/gen/types.js";
import { NO_LOCAL_NETWORKS } from "./none.js";
import type { FakeRuntime } from "./runtime.js";

const EMPTY_IMAGE: ImageConfig = { ...EMPTY_CONFIG, command: ["sh"] };

/** Images that are there, by their tags; they are not pulled. */
export class FakeImages {
  readonly configs = new Map<string, ImageConfig>([["alpine", EMPTY_IMAGE]]);

  readonly seam: Images = {
    ...NO_IMAGES,
    problem: () => undefined,
    get: async (ref) => {
      const config = this.configs.get(ref);
      return config === undefined
        ? refuse("not-found", `No such image: ${ref}`)
        : imageOf(ref, config);
    },
  };
}

function imageOf(tag: string, config: ImageConfig): Image {
  return {
    id: `sha256:${Buffer.from(tag).toString("hex").padEnd(64, "0")}`,
    tags: [`${tag}:latest`],
    digests: [],
    createdAtMs: 0,
    sizeBytes: 1,
    architecture: "amd64",
    os: "linux",
    variant: "",
    author: "",
    comment: "",
    config,
    layers: [],
    history: [],
  };
}

/** Volumes whose content is a word: what they were filled with. */
export class MemoryVolumeDisk implements VolumeDisk {
  readonly records = new Map<string, VolumeRecord>();
  readonly content = new Map<string, string>();
  readonly mounted = new Set<string>();
  readonly sources = new Set(["/there"]);

  async load() {
    return [...this.records.values()];
  }
  async create(record: VolumeRecord) {
    this.records.set(record.name, record);
  }
  async remove(name: string) {
    this.records.delete(name);
    this.content.delete(name);
    this.mounted.delete(name);
  }
  mountpoint(name: string) {
    return `/state/volumes/${name}/_data`;
  }
  async bytes() {
    return 10;
  }
  async isEmpty(name: string) {
    return !this.content.has(name);
  }
  async fill(name: string, tar: Readable) {
    const chunks: Buffer[] = [];
    for await (const chunk of tar) chunks.push(Buffer.from(chunk));
    this.content.set(name, Buffer.concat(chunks).toString());
  }
  async mount({ name }: VolumeRecord) {
    this.mounted.add(name);
  }
  async unmount(name: string) {
    this.mounted.delete(name);
  }
  async below(name: string, subpath: string) {
    return `${this.mountpoint(name)}/${subpath}`;
  }
  async hasSource(path: string, make: boolean) {
    if (make) this.sources.add(path);
    return this.sources.has(path);
  }
}

/** This node's own networks, of which there are "bridge" and docker_gwbridge. */
export class FakeLocal implements LocalJoins {
  readonly joined = new Map<string, LocalJoin>();
  refusal: Refusal | undefined;
  isRestored = false;

  readonly nets: LocalNetworks = {
    ...NO_LOCAL_NETWORKS,
    find: (ref) => (ref === "bridge" ? bridge(ref) : undefined),
  };

  async join(request: LocalJoin) {
    if (this.refusal) return this.refusal;
    this.joined.set(request.endpointId, request);
    const host = 1 + this.joined.size;
    return {
      endpoint: {
        id: request.endpointId,
        meta: undefined,
        networkId: request.network,
        nodeId: "",
        kind: EndpointKind.ATTACHMENT,
        name: request.name,
        aliases: request.aliases,
        ownerId: request.containerId,
        ipv4: `172.17.0.${host}/16`,
        ipv6: "",
        mac: "02:42:ac:11:00:02",
        hostname: request.hostname,
        serviceId: "",
        serving: false,
      },
      network: bridge(request.network),
      ports: request.ports.map((port) => ({ ...port, hostPort: port.hostPort || 32768 })),
    };
  }

  async leave(endpointId: string) {
    this.joined.delete(endpointId);
  }

  restored() {
    this.isRestored = true;
  }
}

function bridge(name: string): Network {
  return {
    id: `id-${name}`,
    meta: undefined,
    spec: NetworkSpec.create({ name, driver: "bridge", ipamDriver: "default" }),
    vni: 0,
    subnets: [{ cidr: "172.17.0.0/16", gateway: "172.17.0.1", ipRange: "" }],
    mtuBytes: 0,
  };
}

interface Outside {
  readonly runtime: FakeRuntime;
  readonly containerd: FakeRuntime;
  readonly images: FakeImages;
  readonly volumeDisk: MemoryVolumeDisk;
  readonly disk: { readonly files: ReadonlyMap<string, string> };
  readonly local?: FakeLocal;
}

/** The tools of a ContainerLoop that come from `outside`. */
export function containerParts(outside: Outside, events: EventPublisher) {
  const { runtime, containerd, images, volumeDisk, disk, local } = outside;
  const log = silentLogger();
  // As the real one: who uses a volume stands in the containers' records.
  const usersOf = (name: string) =>
    [...disk.files].filter(([, text]) => text.includes(`"name":"${name}"`)).map(([id]) => id);
  const random = seededRandom(99);
  const volumes = new VolumeLoop({
    disk: volumeDisk,
    usersOf,
    events,
    clock: systemClock,
    random,
    log,
  });
  return {
    runtimes: { process: runtime, containerd },
    images: images.seam,
    localNets: local?.nets ?? NO_LOCAL_NETWORKS,
    joins: local,
    volumes,
    machineResolvConf: async () => "nameserver 192.0.2.1\n",
    ps: async () => ({ titles: ["PID", "CMD"], rows: [["100", "sleep 1"]] }),
    cpus: 2,
    readyMs: 1_000,
  };
}
