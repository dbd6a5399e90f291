// V8 keeps what a burst of work made it take (a process that started fifty containers held 36 MiB more than it
// needed, for ever), as it collects only when it allocates. So a daemon that has become quiet collects once.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "./clock.js";

const MIB = 1024 * 1024;
const LOOK_MS = 10_000;
// Choice: of one core, and far above what heartbeats and looks take.
const QUIET_SHARE = 0.03;
// Choice: less is not worth a pause.
const WORTH_BYTES = 12 * MIB;
// Choice: a collection stops the process for a millisecond or two a MiB; beyond this, heartbeats would be late.
const HEAP_BYTES_MAX = 96 * MIB;

export interface Look {
  /** Of processor time in the last period, as a part of it. */
  readonly busyShare: number;
  readonly heapBytes: number;
  /** After the last collection of ours; 0: there was none. */
  readonly leftBytes: number;
}

export function isWorthwhile({ busyShare, heapBytes, leftBytes }: Look): boolean {
  if (busyShare > QUIET_SHARE || heapBytes > HEAP_BYTES_MAX) return false;
  return heapBytes - leftBytes >= WORTH_BYTES;
}

/** Looks until the returned function is called. */
export function giveBackWhenIdle(clock: Pick<Clock, "every">): () => void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let before = process.cpuUsage();
  let leftBytes = 0;
  return clock.every(LOOK_MS, () => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    const busyShare = (user + system) / 1_000 / LOOK_MS;
    if (!isWorthwhile({ busyShare, heapBytes: process.memoryUsage().heapTotal, leftBytes })) return;
    // The first empties pages, the second lets them go.
    collect();
    collect();
    leftBytes = process.memoryUsage().heapTotal;
    before = process.cpuUsage();
  });
}
