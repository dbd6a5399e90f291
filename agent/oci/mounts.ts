// What is mounted in a container, and in which order: the kernel's file systems, the files that the node
// keeps for it, then what was asked for. Something that was asked for takes the place of ours.
import { unreachable } from "../../common/fault.js";
import type { MountPoint } from "../seams.js";

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** A file of the node that is laid over one inside. */
export interface LaidFile {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

// moby oci/defaults.go.
const KERNEL_MOUNTS: readonly OciMount[] = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/sys",
    type: "sysfs",
    source: "sysfs",
    options: ["nosuid", "noexec", "nodev", "ro"],
  },
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["ro", "nosuid", "noexec", "nodev"],
  },
  {
    destination: "/dev/mqueue",
    type: "mqueue",
    source: "mqueue",
    options: ["nosuid", "noexec", "nodev"],
  },
];

export function mountsOf(wish: {
  readonly shmBytes: number;
  readonly files: readonly LaidFile[];
  readonly mountPoints: readonly MountPoint[];
}): readonly OciMount[] {
  const shm: OciMount = {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${wish.shmBytes}`],
  };
  const files = wish.files.map(
    ({ source, target, readOnly }): OciMount => ({
      destination: target,
      type: "bind",
      source,
      options: ["rbind", "rprivate", readOnly ? "ro" : "rw"],
    }),
  );
  const wanted = wish.mountPoints.map(wantedMount);
  const taken = new Set(wanted.map(({ destination }) => clean(destination)));
  const ours = [...KERNEL_MOUNTS, shm, ...files].filter(
    ({ destination }) => !taken.has(clean(destination)),
  );
  // A mount on a folder hides what was mounted below it before, so what is deeper comes later.
  return [...ours, ...wanted]
    .map((mount, i) => ({ mount, depth: depthOf(mount.destination), i }))
    .sort((a, b) => a.depth - b.depth || a.i - b.i)
    .map(({ mount }) => mount);
}

/** What the container's root has to let through, for mounts that pass on what is mounted below them later. */
export function rootPropagation(mountPoints: readonly MountPoint[]): string | undefined {
  const kinds = mountPoints.map(({ mount }) => mount.propagation);
  if (kinds.some((kind) => kind === "shared" || kind === "rshared")) return "shared";
  return kinds.some((kind) => kind === "slave" || kind === "rslave") ? "rslave" : undefined;
}

function wantedMount({ mount, source }: MountPoint): OciMount {
  const access = mount.readOnly ? "ro" : "rw";
  switch (mount.kind) {
    case "bind":
    case "volume": {
      const bind = mount.kind === "bind" && !mount.recursive ? "bind" : "rbind";
      const propagation = mount.propagation === "" ? "rprivate" : mount.propagation;
      const options = [bind, propagation, access];
      return { destination: mount.target, type: "bind", source, options };
    }
    case "tmpfs":
      return {
        destination: mount.target,
        type: "tmpfs",
        source: "tmpfs",
        options: [
          ...["noexec", "nosuid", "nodev", access],
          ...(mount.tmpfsBytes > 0 ? [`size=${mount.tmpfsBytes}`] : []),
          ...(mount.tmpfsMode === undefined ? [] : [`mode=${mount.tmpfsMode.toString(8)}`]),
          ...mount.tmpfsOptions,
        ],
      };
    default:
      return unreachable(mount.kind);
  }
}

function clean(path: string): string {
  return path.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
}

function depthOf(path: string): number {
  return clean(path).split("/").length;
}
