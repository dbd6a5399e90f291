// A lease keeps what an operation makes from containerd's garbage collector until a name leads to it.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Containerd,
  ContainerdFault,
  isUnreachable,
  SNAPSHOTTER,
} from "../containerd/connection.js";

// Choice: an agent that is killed leaves its lease behind. The next one drops it; if none comes, containerd does.
const LEASE_HOURS = 24;
const OURS = "skein.for";
// Choice: containerd is restarted within seconds; one that stays away is asked now and then.
const DROP_MIN_MS = 500;
const DROP_MAX_MS = 15_000;

/** Runs `work` with a new lease. What it leads to only by the lease is collected soon after. */
export async function withLease<T>(
  containerd: Containerd,
  nowMs: number,
  work: (lease: string) => Promise<T>,
): Promise<T> {
  const { leases } = containerd;
  const id = `skein-${randomBytes(10).toString("hex")}`;
  const expire = new Date(nowMs + LEASE_HOURS * 3_600_000).toISOString().replace(/\.\d+Z$/, "Z");
  const labels = { "containerd.io/gc.expire": expire, [OURS]: "images" };
  await containerd.call(leases.create.bind(leases), { id, labels });
  const drop = (sync: boolean) =>
    containerd.call(leases.delete.bind(leases), { id, sync }).catch((error: unknown) => {
      if (isUnreachable(error)) void dropLater(containerd, id);
    });
  try {
    const result = await work(id);
    await drop(false);
    return result;
  } catch (error) {
    // What was half-made is gone when this answers, as a disk may be full of it.
    await drop(true);
    if (isDiskFull(error)) await sweepAgain(containerd).catch(() => undefined);
    throw error;
  }
}

/** containerd was killed under it: what was half-made goes when it is back. */
async function dropLater(containerd: Containerd, id: string): Promise<void> {
  const { leases } = containerd;
  for (let pauseMs = DROP_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, DROP_MAX_MS)) {
    await sleep(pauseMs, undefined, { ref: false });
    try {
      await containerd.call(leases.delete.bind(leases), { id, sync: true });
      return;
    } catch (error) {
      // It is gone, or containerd will not have it dropped: then by its own time.
      if (!isUnreachable(error)) return;
    }
  }
}

/** containerd says so in its sentence alone. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof ContainerdFault && /no space left on device/.test(error.details);
}

/**
 * On a full disk the snapshotter cannot write down that a snapshot is to be removed, and containerd looks
 * for such left-overs only when one has been removed since (metadata/db.go, dirtySS). Blobs are gone by now,
 * so there is space: one that is made and removed has it look again.
 */
async function sweepAgain(containerd: Containerd): Promise<void> {
  const { leases, snapshots } = containerd;
  const id = `skein-${randomBytes(10).toString("hex")}`;
  const request = { snapshotter: SNAPSHOTTER, key: id };
  await containerd.call(leases.create.bind(leases), { id, labels: { [OURS]: "images" } });
  try {
    const prepare = snapshots.prepare.bind(snapshots);
    await containerd.call(prepare, { ...request, parent: "", labels: {} }, { lease: id });
    await containerd.call(snapshots.remove.bind(snapshots), request);
  } finally {
    await containerd.call(leases.delete.bind(leases), { id, sync: true });
  }
}

/** What an earlier agent, that did not end by itself, was in the middle of: it goes, and what it held. */
export async function dropOldLeases(containerd: Containerd): Promise<void> {
  const { leases } = containerd;
  const filters = [`labels."${OURS}"==images`];
  const old = await containerd.call(leases.list.bind(leases), { filters });
  for (const [i, { id }] of old.leases.entries()) {
    // The garbage is collected once, with the last.
    const sync = i === old.leases.length - 1;
    await containerd.call(leases.delete.bind(leases), { id, sync });
  }
}
