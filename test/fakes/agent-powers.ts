// An agent's core as it runs, with the real manager process, disk and connections, and with nothing of
// the kernel: for tests of membership that need no network namespace.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Powers } from "../../agent/agent.js";
import { identityDiskAt } from "../../agent/disk/identity-files.js";
import { journalAt } from "../../agent/disk/journal.js";
import { nodeDiskAt } from "../../agent/disk/node-file.js";
import { certificateDoor } from "../../agent/grpc/certificates.js";
import { localManager } from "../../agent/grpc/local-manager.js";
import { GrpcManagerLink } from "../../agent/grpc/manager-link.js";
import { childRunner, managerPaths } from "../../agent/host/child-runner.js";
import { machineDoor, machineFacts } from "../../agent/host/machine.js";
import type { Applier } from "../../agent/loops/apply.js";
import { ManagerProcess } from "../../agent/loops/manager-process.js";
import type { Tenants } from "../../agent/loops/tenants.js";
import type { HostHave } from "../../agent/reconcile/have.js";
import type { Kernel } from "../../agent/reconcile/kernel.js";
import type { HostWant } from "../../agent/reconcile/want.js";
import { systemClock } from "../../common/clock.js";
import { refuse } from "../../common/fault.js";
import { createLogger, silentLogger } from "../../common/log.js";
import { systemRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";

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
    stateDir,
    runDir,
    agentId: hostname,
    clock,
    random: systemRandom,
    timing,
    log,
    nodeDisk: nodeDiskAt(stateDir),
    identityDisk: identityDiskAt(stateDir),
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
    facts: machineFacts(),
    kernel: noKernel,
    applier: rememberingApplier(wants),
    pinger: {
      ping: async (_netns, targets) =>
        targets.map(({ address }) => ({ address, sent: 1, rttsUs: [100], error: "" })),
    },
    makeTenants: () => NO_TENANTS,
  };
}

const NO_UNDERLAY = { links: [], addresses: [], routes: [] };
const NOTHING_HAD: HostHave = {
  sandboxes: new Set(),
  networks: new Map(),
  insides: new Map(),
  underlay: NO_UNDERLAY,
};

const noKernel: Kernel = {
  dump: async () => NOTHING_HAD,
  perform: async () => {},
  follow: () => () => {},
  inside: () => NO_UNDERLAY,
  underlay: () => NO_UNDERLAY,
  dataPortProblem: () => undefined,
  close: () => {},
};

function rememberingApplier(wants: HostWant[]): Applier {
  const applier = {
    set: (want: HostWant) => void wants.push(want),
    ready: async () => {},
    problems: () => new Map<string, string>(),
    settled: async () => {},
    look: () => {},
    close: async () => {},
  };
  return applier as unknown as Applier;
}

const NOT_HERE = refuse("not-found", "this test has no containers");
const NO_TENANTS: Tenants = {
  check: async () => {},
  restore: async () => {},
  networksGone: async () => {},
  told: async () => {},
  close: async () => {},
  containers: { list: () => [], get: () => NOT_HERE } as unknown as Tenants["containers"],
  attachments: { list: () => [], attach: async () => NOT_HERE, detach: async () => undefined },
};
