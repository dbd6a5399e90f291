// Network namespaces: made, entered, removed. A namespace that outlives its processes is one that is
// mounted on a file.
//
// Entering moves one thread, the main one, and only for as long as a synchronous function runs. An
// async call in such a window could start libuv's threads inside the other namespace, where they would
// stay: hence `() => T` that must not be a promise.

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { EINVAL, ENOENT } from "../../common/errno.js";
import { Fault } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import { CLONE_NEWNET, MNT_DETACH, MS_BIND, mount, setns, umount2, unshare } from "./libc.js";

// The calling thread's, which /proc/self is only for the main one.
const OWN_NAMESPACE = "/proc/thread-self/ns/net";
// magic.h: NSFS_MAGIC.
const NSFS_MAGIC = 0x6e736673;

/** What tells two namespaces apart for as long as either exists. */
export function namespaceId(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/** Whether the file is a namespace now (and not the empty file that an unmount or a reboot left). */
export function isNamespace(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === NSFS_MAGIC;
}

/** Runs `window` in the namespace. If there is no way back the process ends: nothing after would be right. */
export function within<T>(path: string, window: () => T): T {
  const there = openSync(path, "r");
  try {
    return enter(() => setns(there, CLONE_NEWNET), window);
  } finally {
    closeSync(there);
  }
}

/** Makes a new one and mounts it on `path`, after `window` ran inside. Nothing is left if it throws. */
export function createNamespace(path: string, window: () => void): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  if (existsSync(path)) removeNamespace(path);
  writeFileSync(path, "", { mode: 0o444, flag: "wx" });
  try {
    enter(
      () => unshare(CLONE_NEWNET),
      () => {
        window();
        mount(OWN_NAMESPACE, path, "none", MS_BIND);
      },
    );
  } catch (error) {
    removeNamespace(path);
    throw error;
  }
}

/** Removes the file. The namespace itself ends with its last process or socket. */
export function removeNamespace(path: string): void {
  for (;;) {
    try {
      umount2(path, MNT_DETACH);
    } catch (error) {
      // EINVAL: not, or no longer, a mount point. Something mounted twice is unmounted twice.
      if (error instanceof SystemError && (error.errno === EINVAL || error.errno === ENOENT)) break;
      throw error;
    }
  }
  if (existsSync(path)) unlinkSync(path);
}

/** Files on which network namespaces are mounted, as this process sees them (proc_pid_mountinfo(5)). */
export function mountedNamespaces(): string[] {
  const paths: string[] = [];
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const fields = line.split(" ");
    if (fields[3]?.startsWith("net:[") && fields[4] !== undefined) paths.push(fields[4]);
  }
  return paths;
}

function enter<T>(go: () => void, window: () => T): T {
  const home = openSync(OWN_NAMESPACE, "r");
  try {
    go();
    try {
      return window();
    } finally {
      comeBack(home);
    }
  } finally {
    closeSync(home);
  }
}

function comeBack(home: number): void {
  try {
    setns(home, CLONE_NEWNET);
  } catch (error) {
    process.stderr.write(`${new Fault("NAMESPACE_NO_WAY_BACK", {}, error).message}\n`);
    process.abort();
  }
}
