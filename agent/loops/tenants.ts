// Containers and attachments of this node as one: what the agent starts, tells and stops together.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import type { LocalPlacing } from "../localnet/keeping.js";
import type {
  Attachments,
  Container,
  Containers,
  Images,
  LocalNetworks,
  Volumes,
} from "../seams.js";
import type {
  AttachmentDisk,
  ContainerDisk,
  LookAtNamespace,
  ReleaseDisk,
  VolumeDisk,
} from "../task/keeping.js";
import { AttachmentLoop } from "./attachments.js";
import type { Runtimes } from "./container-start.js";
import { ContainerLoop, type ContainerTools } from "./containers.js";
import type { LocalNets } from "./local-nets.js";
import { NO_IMAGES } from "./none.js";
import type { ContainerNames, Endpoints, EventPublisher, Placing } from "./placing.js";
import { Releases } from "./releases.js";
import { VolumeLoop } from "./volumes.js";

/** What lives on this node and uses the swarm's networks. */
export interface Tenants {
  /** Throws if a file of theirs is damaged; to be asked before anything else is started or written. */
  check(): Promise<void>;
  /** Declares again, with `Placing`, all that an earlier agent had here. */
  restore(): Promise<void>;
  /** The swarm that gave the endpoints is no longer this node's. */
  networksGone(): Promise<void>;
  /** The endpoints that the swarm gives this node, as of `revision`. */
  told(revision: number, endpointIds: ReadonlySet<string>): Promise<void>;
  close(): Promise<void>;
  readonly containers: Containers;
  readonly attachments: Attachments;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly localNets: LocalNetworks;
  /** This node is in a swarm: containers on its networks will need a way out. */
  swarmEntered(): Promise<void>;
}

export interface TenantTools {
  readonly endpoints: Endpoints;
  readonly placing: Placing;
  readonly local: LocalPlacing;
  readonly events: EventPublisher;
  readonly names?: ContainerNames;
}

export interface TenantParts extends TenantTools {
  readonly runtimes: Runtimes;
  /** Absent: there are none on this node. */
  readonly images?: Images;
  readonly localNets: LocalNets;
  readonly machineResolvConf: ContainerTools["machineResolvConf"];
  readonly ps: ContainerTools["ps"];
  readonly cpus: number;
  readonly volumeDisk: VolumeDisk;
  readonly containerDisk: ContainerDisk;
  readonly attachmentDisk: AttachmentDisk;
  readonly releaseDisk: ReleaseDisk;
  readonly look: LookAtNamespace;
  readonly hostname: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
}

export function tenants(parts: TenantParts): Tenants {
  const { clock, timing, log } = parts;
  const releases = new Releases(parts.endpoints, parts.releaseDisk, clock, timing, log);
  const { images = NO_IMAGES, localNets } = parts;
  const volumes: VolumeLoop = new VolumeLoop({
    ...parts,
    disk: parts.volumeDisk,
    usersOf: (name) => usersOf(name, containers.list()),
  });
  const common = {
    ...parts,
    releases,
    images,
    localNets,
    joins: localNets,
    readyMs: timing.requestMs,
  };
  const containers: ContainerLoop = new ContainerLoop({
    ...common,
    volumes,
    disk: parts.containerDisk,
  });
  const attachments = new AttachmentLoop({ ...common, disk: parts.attachmentDisk });
  return {
    containers,
    attachments,
    images,
    volumes,
    localNets,
    swarmEntered: () => localNets.ensureGateway(),
    async check() {
      await parts.releaseDisk.load();
      await parts.attachmentDisk.load();
      await localNets.load();
    },
    async restore() {
      await releases.restore();
      await volumes.restore();
      await Promise.all([containers.restore(), attachments.restore()]);
      await volumes.restored();
      localNets.restored();
    },
    async networksGone() {
      await Promise.all([containers.networksGone(), attachments.clear()]);
      await releases.clear();
    },
    async told(revision, endpointIds) {
      await containers.told(revision, endpointIds);
      await attachments.told(revision, endpointIds);
    },
    async close() {
      await containers.close();
      await attachments.close();
      await localNets.close();
      await releases.close();
    },
  };
}

function usersOf(volume: string, containers: readonly Container[]): readonly string[] {
  return containers
    .filter(({ mountPoints }) => mountPoints.some(({ name }) => name === volume))
    .map(({ id }) => id);
}
