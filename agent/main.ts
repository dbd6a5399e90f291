// skein-agent: the node's daemon. Reads its settings, opens what it may touch, starts the agent and the
// local API, and takes both away again on SIGTERM, leaving the node's networking in place.
import { readFileSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { parseHostPort } from "../common/address.js";
import { systemClock } from "../common/clock.js";
import { Closing } from "../common/closing.js";
import { readIfThere, replaceFile } from "../common/durable-files.js";
import { Fault, messageOf } from "../common/fault.js";
import { giveBackWhenIdle } from "../common/idle-memory.js";
import { newSwarmId, WATCH_VNI } from "../common/ids.js";
import { createLogger, type Logger } from "../common/log.js";
import { systemRandom } from "../common/random.js";
import { SKEIN_VERSION } from "../common/version.js";
import { loadX509 } from "../common/x509.js";
import { startAgent } from "./agent.js";
import { serveApi } from "./api/server.js";
import { type AgentSettings, HELP, parseCommand } from "./config.js";
import { cgroupSupport } from "./containerd/cgroup.js";
import { Containerd } from "./containerd/connection.js";
import { ContainerdRuntime } from "./containerd/containerd-runtime.js";
import { attachmentDiskAt } from "./disk/attachments-file.js";
import { containerDiskAt } from "./disk/containers-file.js";
import { identityDiskAt } from "./disk/identity-files.js";
import { journalAt } from "./disk/journal.js";
import { localNetDiskAt } from "./disk/local-networks-file.js";
import { nodeDiskAt } from "./disk/node-file.js";
import { releaseDiskAt } from "./disk/releases-file.js";
import { openStateFolder } from "./disk/state-folder.js";
import { explain } from "./disk/state-problem.js";
import { volumeDiskAt } from "./disk/volumes-file.js";
import { wireguardKeyDiskAt } from "./disk/wireguard-key-file.js";
import { certificateDoor } from "./grpc/certificates.js";
import { localManager } from "./grpc/local-manager.js";
import { GrpcManagerLink } from "./grpc/manager-link.js";
import { childRunner, managerPaths } from "./host/child-runner.js";
import { flowTable } from "./host/flow-table.js";
import { machineDoor, machineFacts } from "./host/machine.js";
import { linuxNeighbourTables } from "./host/neighbour-tables.js";
import { unitRunner } from "./host/unit-runner.js";
import { ContainerdImages } from "./images/images.js";
import { portHolder } from "./kernel/held-port.js";
import { LinuxKernel } from "./kernel/kernel.js";
import { nameDoor } from "./kernel/name-sockets.js";
import { LinuxOffloadDoor } from "./kernel/offload-door.js";
import { LinuxPathProber } from "./kernel/path-prober.js";
import { LinuxPeerProber } from "./kernel/peer-probe.js";
import { ping } from "./kernel/ping.js";
import { linuxWatcher } from "./kernel/watcher.js";
import { Applier } from "./loops/apply.js";
import { FlowWatch } from "./loops/flow-watch.js";
import { LocalNets } from "./loops/local-nets.js";
import { ManagerProcess } from "./loops/manager-process.js";
import { NeighbourWatch } from "./loops/neighbour-watch.js";
import { type Tenants, tenants } from "./loops/tenants.js";
import { agentMetrics } from "./metrics.js";
import { chooseDataPath } from "./overlay/data-path.js";
import type { Powers } from "./powers.js";
import { lookAtNamespace } from "./runtime/namespace-file.js";
import { ProcessRuntime } from "./runtime/process-runtime.js";
import { ps } from "./runtime/ps.js";
import { findUser, type User } from "./runtime/users.js";
import type { ContainerState } from "./seams.js";

/** What a container whose image is asked for is said to be doing. */
const RUNNING: readonly ContainerState[] = ["running", "paused", "restarting"];

// Choice: one that runs answers within milliseconds; a start does not wait longer for one that hangs.
const CONTAINERD_ANSWER_MS = 1_000;

async function main(): Promise<void> {
  const command = parseCommand(process.argv.slice(2), { hostname: hostname(), readText });
  switch (command.kind) {
    case "help":
      process.stdout.write(`${HELP}\n`);
      return;
    case "version":
      process.stdout.write(`skein-agent ${SKEIN_VERSION}\n`);
      return;
    case "wrong":
      return fail(2, `${command.message}\nSee 'skein-agent --help'.`);
    case "run":
      return run(command.settings);
  }
}

async function run(settings: AgentSettings): Promise<void> {
  if (process.geteuid?.() !== 0) {
    return fail(1, "it must run as root: it makes network namespaces and devices");
  }
  const user = findUser(settings.managerUser);
  if (typeof user === "string") {
    return fail(
      1,
      `there is no user ${settings.managerUser} to run the manager process as; make one with ` +
        `'useradd --system --shell /usr/sbin/nologin ${settings.managerUser}', or name another with --manager-user`,
    );
  }
  // The library writes what it finds noteworthy to standard error by itself; we log it, once, as ours.
  setLogVerbosity(logVerbosity.NONE);
  const log = createLogger("skein-agent", settings.logLevel);
  const closing = new Closing(log);
  try {
    const folder = await openStateFolder(settings.stateDir);
    closing.push("state folder", () => folder.release());
    await start(settings, user, log, closing);
  } catch (error) {
    await closing.closeAll();
    return fail(1, explain(error));
  }
  const exit = (signal: string) => {
    log.info({ signal }, "stopping");
    // Whatever hangs must not keep systemd, or a person, waiting for ever.
    setTimeout(() => process.exit(1), 2 * settings.timing.graceMs).unref();
    void closing.closeAll().then(() => process.exit(0));
  };
  process.once("SIGTERM", exit);
  process.once("SIGINT", exit);
  log.info({ socket: settings.socketPath, version: SKEIN_VERSION }, "agent started");
}

async function start(
  settings: AgentSettings,
  user: User,
  log: Logger,
  closing: Closing,
): Promise<void> {
  // The manager's user passes through it to its own folder, and people to the socket.
  const made = await mkdir(settings.runDir, { recursive: true });
  if (made !== undefined) await chmod(settings.runDir, 0o755);
  const { powers, applier, kernel } = await powersOf(settings, user, log);
  const agent = await startAgent(powers);
  closing.push("agent", () => agent.close());
  // An agent that is in no swarm will soon ask for a certificate, with a person waiting.
  if (agent.membership.status().state === "inactive") setTimeout(() => void loadX509(), 0);
  const metrics = agentMetrics(agent.membership, applier, flowTable, agent.measured, () =>
    kernel.accelerator.counts(),
  );
  const node = { ...agent.node, metrics: metrics.text };
  const { socketPath, group } = settings;
  closing.push("local API", await serveApi({ socketPath, group, node, log, clock: systemClock }));
  const stopGivingBack = giveBackWhenIdle(systemClock);
  closing.push("idle memory", async () => stopGivingBack());
  if (settings.metricsAddr !== "") {
    closing.push("metrics", await serveMetrics(settings.metricsAddr, metrics.text));
  }
}

async function powersOf(settings: AgentSettings, user: User, log: Logger) {
  const { stateDir, runDir, timing, timeScale } = settings;
  const clock = systemClock;
  const random = systemRandom;
  const paths = managerPaths(stateDir, runDir);
  const runner =
    settings.managerUnit === ""
      ? childRunner({
          ...paths,
          nodePath: process.execPath,
          mainPath: fileURLToPath(new URL("../manager/main.js", import.meta.url)),
          args: managerArgs(settings, paths, user),
          uid: user.uid,
          gid: user.gid,
          graceMs: timing.graceMs,
          clock,
        })
      : unitRunner({ ...paths, unit: settings.managerUnit, owner: user, clock });
  const admin = localManager(paths.socketPath, timing);
  const manager = new ManagerProcess(runner, admin, clock, timing, log);
  const kernel = new LinuxKernel({ runDir });
  const applier = new Applier(kernel, clock, timing, log);
  const facts = machineFacts();
  const containerd = new Containerd({
    socketPath: settings.containerdPath,
    namespace: settings.containerdNamespace,
  });
  // Asked first, so that whoever wants to know is told; at a boot it may come later.
  await containerd.version({ timeoutMs: CONTAINERD_ANSWER_MS }).catch(() => undefined);
  const powers: Powers = {
    hostname: settings.hostname,
    advertiseAddr: settings.advertiseAddr,
    stateDir,
    runDir,
    agentId: await agentId(stateDir),
    clock,
    random,
    timing,
    log,
    nodeDisk: nodeDiskAt(stateDir),
    identityDisk: identityDiskAt(stateDir),
    wireguardKeyDisk: wireguardKeyDiskAt(stateDir),
    wireguardPort: settings.wireguardPort,
    journal: journalAt(join(stateDir, "journal")),
    door: certificateDoor(timing),
    openLink: (identity, addresses) =>
      new GrpcManagerLink(identity, { timing, timeScale, clock, addresses }),
    manager,
    async endManager() {
      // A unit's life is systemd's to end; a child ends with the agent that was told to end.
      await (settings.managerUnit === "" ? manager.stop() : manager.release());
      admin.close();
    },
    machine: machineDoor(kernel),
    facts,
    containerd: () => containerd.knownVersion,
    cgroupVersion: cgroupSupport().version,
    labels: settings.labels,
    genericResources: settings.genericResources,
    dataPath: dataPathOf(settings, kernel, log),
    kernel,
    counters: [kernel.accelerator.counters],
    applier,
    flows: new FlowWatch(flowTable, clock, log),
    neighbours: new NeighbourWatch(linuxNeighbourTables(), clock, log),
    peerProbers: {
      underlay: new LinuxPeerProber(undefined),
      data: new LinuxPeerProber(kernel.networkPath(WATCH_VNI)),
    },
    pinger: ping,
    offloads: new LinuxOffloadDoor((vni) => kernel.networkPath(vni), ping),
    pathProber: new LinuxPathProber(kernel.networkPath(WATCH_VNI)),
    watcher: linuxWatcher(runDir),
    ports: portHolder,
    names: nameDoor(),
    makeTenants(tools) {
      const images = new ContainerdImages({
        containerd,
        clock,
        publish: (event) => tools.events.publish(event),
        usedBy: (imageId) =>
          made.containers
            .list()
            .filter((each) => each.imageId === imageId)
            .map(({ id, state }) => ({ id, running: RUNNING.includes(state) })),
      });
      images.restore().catch((error: unknown) => {
        log.warn({ err: messageOf(error) }, "an earlier agent's unfinished images are still there");
      });
      const made: Tenants = tenants({
        ...tools,
        runtimes: {
          process: new ProcessRuntime({ runDir, stateDir }),
          containerd: new ContainerdRuntime({ containerd, runDir, stateDir }),
        },
        machineResolvConf: async () => readText("/etc/resolv.conf") ?? "",
        ps,
        cpus: facts.cpus,
        volumeDisk: volumeDiskAt(stateDir),
        images,
        localNets: new LocalNets({
          placing: tools.local,
          ports: portHolder,
          disk: localNetDiskAt(stateDir),
          events: tools.events,
          clock,
          random,
          timing,
          log,
        }),
        containerDisk: containerDiskAt(stateDir),
        attachmentDisk: attachmentDiskAt(stateDir),
        releaseDisk: releaseDiskAt(stateDir),
        look: lookAtNamespace,
        hostname: settings.hostname,
        clock,
        random,
        timing,
        log,
      });
      return made;
    },
  };
  return { powers, applier, kernel };
}

function dataPathOf({ dataPath: wish }: AgentSettings, kernel: LinuxKernel, log: Logger) {
  const choice = chooseDataPath(wish, (path) => kernel.dataPathProblem(path));
  const { path, why } = choice;
  // What nobody asked for by name is no trouble.
  if (wish !== "auto" && why.length > 0) log.warn({ wish, path, why }, "data path");
  else log.info({ wish, path, why }, "data path");
  return { wish, ...choice };
}

function managerArgs(
  settings: AgentSettings,
  paths: ReturnType<typeof managerPaths>,
  user: User,
): readonly string[] {
  const folders = ["--state-dir", paths.stateDir, "--run-dir", paths.runDir];
  const manner = ["--log-level", settings.logLevel, "--time-scale", String(settings.timeScale)];
  return [...folders, ...manner, ...(user.uid === 0 ? ["--allow-root"] : [])];
}

/** This installation's own name, for `info`; it outlives memberships. */
async function agentId(stateDir: string): Promise<string> {
  const path = join(stateDir, "agent-id");
  const found = (await readIfThere(path))?.toString().trim();
  if (found !== undefined && found !== "") return found;
  const id = newSwarmId(systemRandom);
  await replaceFile(path, Buffer.from(`${id}\n`));
  return id;
}

function serveMetrics(addr: string, text: () => Promise<string>): Promise<() => Promise<void>> {
  const target = parseHostPort(addr, 0);
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") return void response.writeHead(404).end();
    text().then(
      (body) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(new Fault("METRICS_LISTEN", { addr }, error)));
    server.listen(target?.port, target?.host, () =>
      resolve(() => new Promise((closed) => server.close(() => closed()))),
    );
  });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function fail(code: number, message: string): void {
  process.stderr.write(`skein-agent: ${message}\n`);
  process.exitCode = code;
  // Something that was opened may keep the process alive.
  setTimeout(() => process.exit(code), 100).unref();
}

main().catch((error: unknown) => fail(1, messageOf(error)));
