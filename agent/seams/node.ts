// All that the local API is given of a node, and what its managers are told of the machine.
import type { Unsubscribe } from "../../common/watch.js";
import type { Inquiry, InquiryPart } from "../../proto/gen/control.js";
import type { Endpoint, Network, NodeResource } from "../../proto/gen/types.js";
import type { DataPathChoice, DataPathWish } from "../overlay/data-path.js";
import type { Containers } from "./containers.js";
import type { Images } from "./images.js";
import type { MachineFacts } from "./machine.js";
import type { Membership } from "./membership.js";
import type { Attachments, LocalNetworks } from "./networks.js";
import type { Volumes } from "./volumes.js";

/** Docker's event: engine-api.yaml EventMessage. */
export interface NodeEvent {
  readonly type:
    | "container"
    | "network"
    | "node"
    | "daemon"
    | "attachment"
    | "image"
    | "volume"
    | "service"
    | "secret"
    | "config";
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly scope: "local" | "swarm";
  readonly timeNs: bigint;
}

export interface Events {
  /** The last events, oldest first; at most 256 are kept, as Docker keeps. */
  recent(): readonly NodeEvent[];
  follow(listener: (event: NodeEvent) => void): Unsubscribe;
}

/** All that `agent/api` may ask for. `agent.ts` makes one from the loops. */
export interface AgentNode {
  readonly membership: Membership;
  readonly containers: Containers;
  readonly attachments: Attachments;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly localNets: LocalNetworks;
  readonly events: Events;
  /** The networks that are on this node now, with their endpoints here: what a worker can show. */
  localNetworks(): readonly {
    readonly network: Network;
    readonly endpoints: readonly Endpoint[];
    readonly peers: readonly {
      readonly nodeId: string;
      readonly addr: string;
      readonly hostname: string;
    }[];
  }[];
  host(): HostFacts;
  /** Prometheus text. */
  metrics(): Promise<string>;
  /** What is wrong with this machine that a person should know, as `info` ends with it, each a sentence. */
  warnings(): readonly string[];
  /** What only this node can see; ends with the signal, and never throws: a failure is a part. */
  inquire(inquiry: Inquiry, signal: AbortSignal): AsyncIterable<InquiryPart["part"]>;
  findings(): readonly (Finding & { readonly sinceMs: number })[];
}

/** Something wrong on this node, for a person. */
export interface Finding {
  /** Names it among those of its source: the same while it lasts ("peer 4x2… mtu"). */
  readonly subject: string;
  /** What is wrong, as a sentence. */
  readonly what: string;
  /** Which node, peer, device or network ("h1 → h2", "vxlan0 of overnet"). */
  readonly where: string;
  /** What to do, as a sentence; empty: nothing is known. */
  readonly remedy: string;
  /** The network that it is about; undefined: the node itself, or several. */
  readonly networkId?: string;
}

export interface HostFacts extends MachineFacts {
  readonly hostname: string;
  readonly stateDir: string;
  readonly agentId: string;
  /** "containerd" version and runc's as they say; undefined: there is none on this node. */
  readonly containerd: { readonly version: string; readonly revision: string } | undefined;
  /** 1 or 2. */
  readonly cgroupVersion: number;
  /** As the agent was told (--label, --generic-resource). */
  readonly labels: Readonly<Record<string, string>>;
  readonly genericResources: readonly NodeResource[];
  /** What was asked for (--datapath), and what came of it. */
  readonly dataPath: DataPathChoice & { readonly wish: DataPathWish };
}
