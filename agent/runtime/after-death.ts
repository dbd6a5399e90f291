// What became of a container whose supervisor does not answer any more.
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../../common/fault.js";
import type { Exit } from "../task/runtime.js";
import { bootId, isAlive, killMarked } from "./processes.js";
import { readExit, readStarted, type ShimFolders } from "./shim-files.js";

// Choice: the kernel takes a killed process down in far less, unless a disk holds it.
const KILL_MS = 5_000;
const LOOK_AGAIN_MS = 10;
const SIGKILLED = 137;
// Docker's, for a container that was running when the machine went down.
const LOST = 255;

/** Undefined: its command was never started. No process of it is left when this resolves. */
export async function afterDeath(folders: ShimFolders, life: number): Promise<Exit | undefined> {
  const recorded = readExit(folders, life);
  const started = readStarted(folders, life);
  if (started !== undefined && started.holder.bootId === bootId()) {
    // The kernel kills the holder together with the supervisor; this is for the moment in between.
    for (const mark of [started.shim, started.holder]) {
      if (mark === started.shim && recorded !== undefined) continue;
      killMarked(mark);
    }
    for (let waitedMs = 0; isAlive(started.holder); waitedMs += LOOK_AGAIN_MS) {
      if (waitedMs > KILL_MS) throw new Fault("KILL_TIMEOUT", { pid: started.holder.pid });
      await sleep(LOOK_AGAIN_MS);
    }
  }
  if (recorded !== undefined) return recorded;
  if (started === undefined) return undefined;
  return started.holder.bootId === bootId()
    ? { exitCode: SIGKILLED, error: "the container's supervisor was killed", atMs: Date.now() }
    : { exitCode: LOST, error: "the machine restarted while the container ran", atMs: Date.now() };
}
