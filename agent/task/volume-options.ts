// The options of a volume of the driver "local": what mount(8) would be told. tmpfs and bind are served;
// what needs more than the kernel's own call is refused by name.
import { type Refusal, refuse } from "../../common/fault.js";

export interface MountCall {
  readonly kind: "tmpfs" | "bind";
  readonly source: string;
  /** MS_… of sys/mount.h. */
  readonly flags: number;
  readonly data: string;
}

// sys/mount.h; the same numbers on all machines.
const FLAGS: Readonly<Record<string, number>> = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  sync: 16,
  dirsync: 128,
  noatime: 1024,
  nodiratime: 2048,
  bind: 4096,
  rbind: 4096 | 16384,
  relatime: 1 << 21,
  strictatime: 1 << 24,
};
const NOTHING = new Set(["rw", "defaults", "exec", "suid", "dev", ""]);
const TMPFS_DATA = /^(size|nr_blocks|nr_inodes|mode|uid|gid|huge)=[\w%]{1,32}$/;
const KNOWN = new Set(["type", "o", "device"]);
const MS_BIND = 4096;

/** Undefined: a plain folder. */
export function mountCall(
  options: Readonly<Record<string, string>>,
): MountCall | Refusal | undefined {
  const keys = Object.keys(options);
  if (keys.length === 0) return undefined;
  const unknown = keys.find((key) => !KNOWN.has(key));
  if (unknown === "size") {
    return refuse(
      "unimplemented",
      "volumes with a quota (size) are not part of this release of Skein",
    );
  }
  if (unknown !== undefined) return refuse("invalid-argument", `invalid option: "${unknown}"`);
  const { type = "", o = "", device = "" } = options;
  if (device === "") return refuse("invalid-argument", 'missing required option: "device"');
  if (type === "") return refuse("invalid-argument", 'missing required option: "type"');
  const words = o.split(",").map((word) => word.trim());
  const flags = words.reduce((all, word) => all | (FLAGS[word] ?? 0), 0);
  const data = words.filter((word) => FLAGS[word] === undefined && !NOTHING.has(word));
  if ((flags & MS_BIND) !== 0 || type === "bind") return bind(device, flags | MS_BIND, data);
  if (type === "tmpfs") {
    const wrong = data.find((word) => !TMPFS_DATA.test(word));
    if (wrong !== undefined) {
      return refuse("invalid-argument", `invalid option of a tmpfs volume: "${wrong}"`);
    }
    return { kind: "tmpfs", source: device, flags, data: data.join(",") };
  }
  return refuse(
    "unimplemented",
    `volumes of type "${type}" are not part of this release of Skein (tmpfs and bind are); ` +
      "mount it on the machine and bind that folder",
  );
}

function bind(device: string, flags: number, data: readonly string[]): MountCall | Refusal {
  if (!device.startsWith("/")) {
    return refuse("invalid-argument", `the device of a bind must be an absolute path: "${device}"`);
  }
  if (data.length > 0) {
    return refuse("invalid-argument", `invalid option of a bind volume: "${data[0]}"`);
  }
  return { kind: "bind", source: device, flags, data: "" };
}
