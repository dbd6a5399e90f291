// A node's containers with the real runtime on a real disk, without a swarm: what runtime.test.ts runs,
// in its own process and in one that it kills.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { containerDiskAt } from "../../agent/disk/containers-file.js";
import { releaseDiskAt } from "../../agent/disk/releases-file.js";
import { volumeDiskAt } from "../../agent/disk/volumes-file.js";
import { ContainerLoop } from "../../agent/loops/containers.js";
import { NO_IMAGES } from "../../agent/loops/none.js";
import { Releases } from "../../agent/loops/releases.js";
import { VolumeLoop } from "../../agent/loops/volumes.js";
import { ProcessRuntime } from "../../agent/runtime/process-runtime.js";
import { ps } from "../../agent/runtime/ps.js";
import type { ContainerSpec } from "../../agent/seams.js";
import { EMPTY_SPEC } from "../../agent/task/container-spec.js";
import { systemClock } from "../../common/clock.js";
import { createLogger } from "../../common/log.js";
import { systemRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { NO_LOCAL_NETWORKS } from "../fakes/none.js";
import { EventLog, FakeEndpoints, FakePlacing } from "../fakes/placing.js";

/** Makes real namespaces, without links. */
export class NamespacePlacing extends FakePlacing {
  constructor(private readonly folder: string) {
    super();
    mkdirSync(folder, { recursive: true });
  }

  override sandbox(containerId: string): string {
    super.sandbox(containerId);
    return this.#path(containerId);
  }

  override async sandboxReady(containerId: string, signal: AbortSignal): Promise<void> {
    await super.sandboxReady(containerId, signal);
    const path = this.#path(containerId);
    execFileSync("touch", [path]);
    execFileSync("unshare", [`--net=${path}`, "true"]);
  }

  override async dropSandbox(containerId: string): Promise<void> {
    const path = this.#path(containerId);
    try {
      execFileSync("umount", ["-l", path], { stdio: "ignore" });
    } catch {
      // It was not made yet.
    }
    rmSync(path, { force: true });
    await super.dropSandbox(containerId);
  }

  #path(containerId: string): string {
    return join(this.folder, `sb-${containerId.slice(0, 12)}`);
  }
}

export async function openNode(folder: string, shimPath: string) {
  const [runDir, stateDir] = [join(folder, "run"), join(folder, "state")];
  const endpoints = new FakeEndpoints();
  const placing = new NamespacePlacing(join(runDir, "netns"));
  const events = new EventLog();
  const log = createLogger("test", process.env["TEST_LOG"] ?? "silent");
  const common = { endpoints, placing, events, log, clock: systemClock, random: systemRandom };
  const releases = new Releases(
    endpoints,
    releaseDiskAt(stateDir),
    systemClock,
    DEFAULT_TIMING,
    log,
  );
  const runtime = new ProcessRuntime({ runDir, stateDir, shimPath });
  const disk = containerDiskAt(stateDir);
  const volumes = new VolumeLoop({ ...common, disk: volumeDiskAt(stateDir), usersOf: () => [] });
  const containers = new ContainerLoop({
    ...common,
    releases,
    volumes,
    ps,
    disk,
    runtimes: { process: runtime, containerd: undefined },
    images: NO_IMAGES,
    localNets: NO_LOCAL_NETWORKS,
    joins: undefined,
    machineResolvConf: async () => "",
    cpus: 2,
    readyMs: 30_000,
  });
  await releases.restore();
  await containers.restore();
  return { containers, endpoints, placing, events, releases, runDir, stateDir };
}

export function specOf(
  command: readonly string[],
  more: Partial<ContainerSpec> = {},
): ContainerSpec {
  return {
    ...EMPTY_SPEC,
    name: "",
    image: "host",
    runtime: "process",
    command,
    ...more,
  };
}
