// An agent's core as it runs, with the real manager process, disk and connections, and with nothing of
// the kernel: for tests of membership that need no network namespace.

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { identityDiskAt } from "../../agent/disk/identity-files.js";
import { journalAt } from "../../agent/disk/journal.js";
import { nodeDiskAt } from "../../agent/disk/node-file.js";
import { wireguardKeyDiskAt } from "../../agent/disk/wireguard-key-file.js";
import type { NameDoor } from "../../agent/dns/door.js";
import { certificateDoor } from "../../agent/grpc/certificates.js";
import { localManager } from "../../agent/grpc/local-manager.js";
import { GrpcManagerLink } from "../../agent/grpc/manager-link.js";
import { childRunner, managerPaths } from "../../agent/host/child-runner.js";
import { machineDoor, machineFacts } from "../../agent/host/machine.js";
import type { Applier } from "../../agent/loops/apply.js";
import { ApplyCounts } from "../../agent/loops/apply-counts.js";
import { FlowWatch } from "../../agent/loops/flow-watch.js";
import { ManagerProcess } from "../../agent/loops/manager-process.js";
import { NeighbourWatch } from "../../agent/loops/neighbour-watch.js";
import { NO_IMAGES } from "../../agent/loops/none.js";
import type { Tenants } from "../../agent/loops/tenants.js";
import type { Powers } from "../../agent/powers.js";
import type { HostHave } from "../../agent/reconcile/have.js";
import type { Kernel } from "../../agent/reconcile/kernel.js";
import type { HostWant } from "../../agent/reconcile/want.js";
import type { PeerProber, Watcher } from "../../agent/seams.js";
import { systemClock } from "../../common/clock.js";
import { refuse } from "../../common/fault.js";
import { createLogger, silentLogger } from "../../common/log.js";
import { systemRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { NO_LOCAL_NETWORKS, NO_VOLUMES } from "./none.js";

const MANAGER_MAIN = fileURLToPath(new URL("../../dist/manager/main.js", import.meta.url));

export interface CorePowers extends Powers {
  /** What the kernel would have been given last. */
  readonly wants: HostWant[];
  readonly manager: ManagerProcess;
}

export function corePowers(folder: string, hostname: string): CorePowers {
  const stateDir = `${folder}/state`;
  const runDir = `${folder}/run`;
  mkdirSync(stateDir, { recursive: true });
  mkdirSync(runDir, { recursive: true });
  const log = process.env["SKEIN_TEST_LOG"] ? createLogger(hostname, "debug") : silentLogger();
  const timing = DEFAULT_TIMING;
  const clock = systemClock;
  const paths = managerPaths(stateDir, runDir);
  const runner = childRunner({
    ...paths,
    nodePath: process.execPath,
    mainPath: MANAGER_MAIN,
    args: [
      "--state-dir",
      paths.stateDir,
      "--run-dir",
      paths.runDir,
      "--allow-root",
      "--log-level",
      "debug",
    ],
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    graceMs: timing.graceMs,
    clock,
  });
  const admin = localManager(paths.socketPath, timing);
  const manager = new ManagerProcess(runner, admin, clock, timing, log);
  const wants: HostWant[] = [];
  return {
    wants,
    hostname,
    advertiseAddr: "",
    stateDir,
    runDir,
    agentId: hostname,
    clock,
    random: systemRandom,
    timing,
    log,
    nodeDisk: nodeDiskAt(stateDir),
    identityDisk: identityDiskAt(stateDir),
    wireguardKeyDisk: wireguardKeyDiskAt(stateDir),
    wireguardPort: 4788,
    journal: journalAt(`${stateDir}/journal`),
    door: certificateDoor(timing),
    openLink: (identity, addresses) =>
      new GrpcManagerLink(identity, { timing, timeScale: 1, clock, addresses }),
    manager,
    endManager: async () => {
      await manager.stop();
      admin.close();
    },
    machine: machineDoor(noKernel),
    containerd: () => undefined,
    cgroupVersion: 2,
    facts: machineFacts(),
    labels: {},
    genericResources: [],
    dataPath: { wish: "auto", path: "kernel", why: [] },
    kernel: noKernel,
    applier: rememberingApplier(wants),
    ports: {
      hold: () => ({ release: () => {} }),
      range: () => ({ first: 32_768, last: 60_999 }),
    },
    peerProbers: { underlay: NO_PEERS, data: NO_PEERS },
    flows: new FlowWatch(() => undefined, clock, log),
    neighbours: new NeighbourWatch({ list: () => [], raise: () => false }, clock, log),
    pinger: {
      ping: async (_netns, targets) =>
        targets.map(({ address }) => ({ address, sent: 1, rttsUs: [100], error: "" })),
    },
    offloads: {
      answer: () => {},
      exchange: async () => ({ icmp: false, udp: "lost", tcp: "lost" }),
      has: () => undefined,
      set: () => {},
      close: () => {},
    },
    pathProber: {
      known: () => undefined,
      send: async (probes) => probes.map(() => ({ passed: [], toldBytes: undefined })),
      close: () => {},
    },
    watcher: NO_WATCHER,
    names: NO_NAMES,
    makeTenants: () => NO_TENANTS,
  };
}

/** No namespace stands. */
const NO_WATCHER: Watcher = {
  tapNetwork: () => undefined,
  tapSandbox: () => undefined,
  network: () => undefined,
  counters: () => undefined,
  inside: () => undefined,
  route: () => undefined,
  neighbours: () => undefined,
  tables: () => undefined,
  listeners: () => undefined,
  probe: async () => ({ kind: "failed", why: "the sandbox does not stand", afterUs: 0 }),
  lookUp: async () => undefined,
};

const NO_NAMES: NameDoor = {
  identity: () => undefined,
  listen: () => ({ ports: { udp: 0, tcp: 0 }, close: () => {} }),
  ask: () => () => {},
  machine: () => ({ resolvConf: "", real: undefined }),
};

const NO_UNDERLAY = { links: [], addresses: [], routes: [] };
const NOTHING_HAD: HostHave = {
  sandboxes: new Set(),
  networks: new Map(),
  insides: new Map(),
  underlay: NO_UNDERLAY,
};

const noKernel: Kernel = {
  hasIpv6: () => true,
  sweep: async () => {},
  dump: async () => NOTHING_HAD,
  perform: async () => {},
  follow: () => () => {},
  inside: () => NO_UNDERLAY,
  underlay: () => NO_UNDERLAY,
  drops: () => [],
  strangers: () => [],
  dataPortProblem: () => undefined,
  dataPathProblem: () => undefined,
  encryptionKind: () => "kernel",
  wireguard: async () => undefined,
  close: () => {},
};

function rememberingApplier(wants: HostWant[]): Applier {
  const applier = {
    set: (want: HostWant) => void wants.push(want),
    ready: async () => {},
    problems: () => new Map<string, string>(),
    troubles: () => [],
    foreignDrops: "",
    counts: new ApplyCounts(systemClock),
    settled: async () => {},
    look: () => {},
    close: async () => {},
  };
  return applier as unknown as Applier;
}

const NO_PEERS: PeerProber = {
  ask: () => false,
  news: () => ({ answers: [], heard: [] }),
  close: () => {},
};

const NOT_HERE = refuse("not-found", "this test has no containers");
const NO_TENANTS: Tenants = {
  check: async () => {},
  restore: async () => {},
  networksGone: async () => {},
  told: async () => {},
  swarmEntered: async () => {},
  close: async () => {},
  containers: { list: () => [], get: () => NOT_HERE } as unknown as Tenants["containers"],
  attachments: { list: () => [], attach: async () => NOT_HERE, detach: async () => undefined },
  images: NO_IMAGES,
  volumes: NO_VOLUMES,
  localNets: NO_LOCAL_NETWORKS,
};
