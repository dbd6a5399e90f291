// Is a file a network namespace, and which? namespaces(7), ioctl_ns(2).
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { messageOf } from "../../common/fault.js";
import { CLONE_NEWNET, ioctl } from "../kernel/libc.js";
import type { NamespaceLook } from "../task/keeping.js";

// include/uapi/linux/nsfs.h
const NS_GET_NSTYPE = 0xb703;

export function lookAtNamespace(path: string): NamespaceLook {
  let fd: number;
  try {
    // A pipe or a device would make an open wait, or do something.
    const found = statSync(path);
    if (!found.isFile()) return { kind: "other", why: "it is not a plain file" };
    fd = openSync(path, "r");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "missing" };
    return { kind: "other", why: messageOf(error) };
  }
  try {
    if (ioctl(fd, NS_GET_NSTYPE, null) !== CLONE_NEWNET) {
      return { kind: "other", why: "it is a namespace of another kind" };
    }
    const inode = inodeOf(fstatSync(fd, { bigint: true }));
    const own = inodeOf(statSync("/proc/self/ns/net", { bigint: true }));
    return { kind: "namespace", inode, isOwn: inode === own };
  } catch {
    return { kind: "other", why: "it is an ordinary file" };
  } finally {
    closeSync(fd);
  }
}

function inodeOf(stat: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${stat.dev}:${stat.ino}`;
}
