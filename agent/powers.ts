// What the agent is given of the outside. main.ts has the real ones, test/fakes those of tests.
import type { Clock } from "../common/clock.js";
import type { Logger } from "../common/log.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import type { NodeResource } from "../proto/gen/types.js";
import type { NameDoor } from "./dns/door.js";
import type { PortHolder } from "./localnet/keeping.js";
import type { Applier } from "./loops/apply.js";
import type { FlowWatch } from "./loops/flow-watch.js";
import type { MemberDeps } from "./loops/member.js";
import type { NeighbourWatch } from "./loops/neighbour-watch.js";
import type { PeerProbers } from "./loops/peers.js";
import type { Tenants, TenantTools } from "./loops/tenants.js";
import type { Kernel } from "./reconcile/kernel.js";
import type {
  CertificateDoor,
  DataPathCounters,
  HostFacts,
  IdentityDisk,
  Journal,
  MachineDoor,
  MachineFacts,
  ManagerHost,
  NodeDisk,
  OffloadDoor,
  PathProber,
  Pinger,
  Watcher,
  WireguardKeyDisk,
} from "./seams.js";

export interface Powers {
  readonly hostname: string;
  /** As the daemon was told (--advertise-addr). */
  readonly advertiseAddr: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly agentId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  readonly nodeDisk: NodeDisk;
  readonly identityDisk: IdentityDisk;
  readonly wireguardKeyDisk: WireguardKeyDisk;
  /** UDP. */
  readonly wireguardPort: number;
  readonly journal: Journal;
  readonly door: CertificateDoor;
  readonly openLink: MemberDeps["openLink"];
  readonly manager: ManagerHost;
  /** Stops the manager process with the agent, or leaves it to systemd. */
  readonly endManager: () => Promise<void>;
  readonly machine: MachineDoor;
  readonly facts: MachineFacts;
  /** What it says of itself; undefined: there is none on this node. */
  readonly containerd: () => HostFacts["containerd"];
  readonly cgroupVersion: number;
  /** Engine labels, and what services may reserve here (--label, --generic-resource). */
  readonly labels: Readonly<Record<string, string>>;
  readonly genericResources: readonly NodeResource[];
  readonly dataPath: HostFacts["dataPath"];
  readonly kernel: Kernel;
  readonly applier: Applier;
  /** What the data paths themselves count. */
  readonly counters?: readonly DataPathCounters[];
  readonly flows: FlowWatch;
  readonly neighbours: NeighbourWatch;
  readonly peerProbers: PeerProbers;
  readonly pinger: Pinger;
  readonly pathProber: PathProber & { close(): void };
  readonly offloads: OffloadDoor;
  readonly watcher: Watcher;
  readonly ports: PortHolder;
  readonly names: NameDoor;
  readonly makeTenants: (tools: TenantTools) => Tenants;
}
