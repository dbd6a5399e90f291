// The namespaces of one container, made and entered by the supervisor's main thread.
//
// A namespace belongs to a thread, and a child process inherits those of the thread that forks it. So
// the main thread steps in, starts a child, and steps out again, all without giving way: while it is
// inside nothing asynchronous may begin, or a thread of Node's pool might be born in there.
//
// Process 1 of the container's process namespace is not the command but a holder that does nothing:
// - the command gets signals as on the machine (the kernel shields a process 1 from SIGTERM);
// - orphans are inherited and reaped (the holder ignores SIGCHLD, so the kernel reaps them: wait(2));
// - when the holder is killed, so is everything in the namespace, at once (pid_namespaces(7)); and it is
//   killed when the supervisor dies (PR_SET_PDEATHSIG), so that nothing outlives its supervisor.
// It is what Docker calls `--init`.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { Fault } from "../../common/fault.js";
import * as libc from "../kernel/libc.js";
import { DEFAULT_PATH } from "../task/environment.js";

export interface NamespaceWish {
  readonly hostname: string;
  readonly netns: string | undefined;
  /** What is laid over which file: of the machine's own view nothing changes. */
  readonly files: readonly { readonly source: string; readonly target: string }[];
  /** The folder of Skein's namespace files, which are of no use inside and must not be kept alive there. */
  readonly netnsFolder: string;
}

interface Held {
  readonly kind: number;
  readonly home: number;
  readonly inside: number;
}

const KINDS = [
  ["pid_for_children", libc.CLONE_NEWPID],
  ["net", libc.CLONE_NEWNET],
  ["uts", libc.CLONE_NEWUTS],
  // Last in and first out: the files under /proc/thread-self are found through it.
  ["mnt", libc.CLONE_NEWNS],
] as const;

export class Namespaces {
  readonly #held: Held[] = [];

  private constructor(readonly holder: ChildProcess) {}

  /** Throws a Fault; then the process is of no further use, for it may be inside already. */
  static make(wish: NamespaceWish): Namespaces {
    const homes = KINDS.map(([name]) => openNamespace(name));
    if (wish.netns !== undefined) {
      const fd = openSync(wish.netns, "r");
      libc.setns(fd, libc.CLONE_NEWNET);
      closeSync(fd);
    }
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWUTS | libc.CLONE_NEWPID);
    // What the machine mounts and unmounts still arrives here; what is mounted here goes nowhere.
    libc.mount("none", "/", null, libc.MS_REC | libc.MS_SLAVE);
    libc.sethostname(wish.hostname);
    const made = new Namespaces(startHolder());
    // While /proc is still the machine's: the container's knows nothing of this thread.
    KINDS.forEach(([name, kind], i) => {
      const home = homes[i];
      if (home !== undefined) made.#held.push({ kind, home, inside: openNamespace(name) });
    });
    mountInside(wish);
    made.#leave();
    return made;
  }

  /** Runs `work` with the main thread inside. It must not wait for anything. */
  within<T>(work: () => T): T {
    for (const { inside, kind } of this.#held) libc.setns(inside, kind);
    try {
      return work();
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    for (const { home, kind } of [...this.#held].reverse()) libc.setns(home, kind);
  }
}

function openNamespace(name: string): number {
  // Before a first child /proc has no namespace to show for "pid_for_children" once it is unshared, but
  // this is only asked before that and after.
  return openSync(`/proc/thread-self/ns/${name}`, "r");
}

function startHolder(): ChildProcess {
  const holder = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "env", "--ignore-signal=CHLD", "sleep", "infinity"],
    { cwd: "/", env: { PATH: DEFAULT_PATH }, stdio: "ignore", detached: true },
  );
  if (holder.pid === undefined) throw new Fault("HOLDER_START");
  return holder;
}

function mountInside(wish: NamespaceWish): void {
  for (const { source, target } of wish.files) {
    if (existsSync(target)) libc.mount(source, target, null, libc.MS_BIND);
  }
  detachNamespaceFiles(wish.netnsFolder);
  // /sys shows the network of the namespace in which it was mounted, so it is mounted anew; cgroups
  // are carried over. Failing here loses a convenience only.
  if (wish.netns !== undefined) attempt(mountSys);
  // A child does it, for /proc shows the process namespace of who mounts it, and we are outside.
  const mounted = spawnSync("mount", ["-n", "-t", "proc", "proc", "/proc"], {
    cwd: "/",
    env: { PATH: DEFAULT_PATH },
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (mounted.status !== 0) {
    throw new Fault("MOUNT_PROC", { said: mounted.stderr.toString().trim() }, mounted.error);
  }
}

function mountSys(): void {
  const cgroups = existsSync("/sys/fs/cgroup") ? openSync("/sys/fs/cgroup", "r") : undefined;
  libc.mount("sysfs", "/sys", "sysfs", 0);
  if (cgroups === undefined) return;
  attempt(() =>
    libc.mount(`/proc/self/fd/${cgroups}`, "/sys/fs/cgroup", null, libc.MS_BIND | libc.MS_REC),
  );
  closeSync(cgroups);
}

/** A copy of a namespace's mount keeps the namespace alive, and with it the other container's interface. */
function detachNamespaceFiles(folder: string): void {
  // proc_pid_mountinfo(5): the fifth field is the mount point; spaces in it are written \040.
  const points = readFileSync("/proc/thread-self/mountinfo", "utf8")
    .split("\n")
    .map((line) => (line.split(" ")[4] ?? "").replaceAll("\\040", " "))
    .filter((point) => point.startsWith(`${folder}/`));
  for (const point of points.reverse()) attempt(() => libc.umount2(point, libc.MNT_DETACH));
}

function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    console.error(JSON.stringify({ msg: "left out", err: String(error) }));
  }
}
