// What the node's agent keeps its own copy of the node's key with, and Docker's words for a disk that is sealed.
import { type Refusal, refuse } from "../common/fault.js";
import { firstTold } from "../common/watch.js";
import type { NodeKeys } from "../proto/gen/admin.js";
import type { ManagerDisk } from "./seams.js";

export const LOCKED =
  'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.';
export const WRONG_UNLOCK_KEY = "swarm could not be unlocked: invalid key provided";

/** Answers when their version is another than `knownVersion`. */
export async function nodeKeys(
  disk: ManagerDisk,
  knownVersion: number | undefined,
  signal: AbortSignal,
): Promise<NodeKeys | Refusal> {
  const { keys } = disk;
  while (!keys.locked && keys.version === knownVersion) {
    const told = firstTold<void>((tell) => keys.changed.subscribe(tell), signal);
    await told.catch(() => {});
    if (signal.aborted) return refuse("unavailable", "nobody waits for the keys");
  }
  if (keys.locked) return refuse("failed-precondition", LOCKED);
  const { version, unlockKey } = keys;
  const tls = await disk.loadTls();
  const privateKey = Buffer.from(tls?.privateKey ?? []);
  return { version, unlockKey: Buffer.from(unlockKey), privateKey };
}
