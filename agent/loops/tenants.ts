// Containers and attachments of this node as one: what the agent starts, tells and stops together.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import type { Attachments, Containers } from "../seams.js";
import type {
  AttachmentDisk,
  ContainerDisk,
  LookAtNamespace,
  ReleaseDisk,
} from "../task/keeping.js";
import type { Runtime } from "../task/runtime.js";
import { AttachmentLoop } from "./attachments.js";
import { ContainerLoop } from "./containers.js";
import type { Endpoints, EventPublisher, Placing } from "./placing.js";
import { Releases } from "./releases.js";

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
}

export interface TenantTools {
  readonly endpoints: Endpoints;
  readonly placing: Placing;
  readonly events: EventPublisher;
}

export interface TenantParts extends TenantTools {
  readonly runtime: Runtime;
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
  const common = { ...parts, releases, readyMs: timing.requestMs };
  const containers = new ContainerLoop({ ...common, disk: parts.containerDisk });
  const attachments = new AttachmentLoop({ ...common, disk: parts.attachmentDisk });
  return {
    containers,
    attachments,
    async check() {
      await parts.releaseDisk.load();
      await parts.attachmentDisk.load();
    },
    async restore() {
      await releases.restore();
      await Promise.all([containers.restore(), attachments.restore()]);
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
      await releases.close();
    },
  };
}
