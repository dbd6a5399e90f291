// A container's file system: a snapshot on top of its image's layers. And the two files in it that say
// who its users are; they are read without running or mounting anything.
import { closeSync, constants, lstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { Fault } from "../../common/fault.js";
import type { Mount } from "../../proto/gen/containerd/types.js";
import { getxattr, openInRoot } from "../kernel/libc.js";
import { chainIdOf } from "../oci/digest.js";
import { parseConfig } from "../oci/image-config.js";
import { CONFIG_BYTES_MAX } from "../oci/manifest.js";
import type { UserFiles } from "../oci/users.js";
import { alreadyExists, type Containerd, isNotFound, SNAPSHOTTER } from "./connection.js";

// Choice: Debian's own have 40 lines; who has more users than fit in here names them by number.
const USER_FILE_BYTES_MAX = 1024 * 1024;
// path_resolution(7): the kernel's own limit.
const LINKS_MAX = 40;

/** Makes the writable snapshot; again is no error. It stays until `removeSnapshot`. */
export async function makeSnapshot(
  c: Containerd,
  id: string,
  chainOf: () => Promise<string>,
): Promise<void> {
  // The image itself may be gone by the second start.
  if (await hasSnapshot(c, id)) return;
  const parent = await chainOf();
  try {
    await c.call(c.snapshots.prepare.bind(c.snapshots), {
      snapshotter: SNAPSHOTTER,
      key: id,
      parent,
      // Nothing else names it before the first start, and the garbage collector would take it.
      labels: { "containerd.io/gc.root": new Date().toISOString() },
    });
  } catch (error) {
    if (!alreadyExists(error)) throw error;
  }
}

async function hasSnapshot(c: Containerd, id: string): Promise<boolean> {
  try {
    await c.call(c.snapshots.stat.bind(c.snapshots), { snapshotter: SNAPSHOTTER, key: id });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

export async function removeSnapshot(c: Containerd, id: string): Promise<void> {
  try {
    await c.call(c.snapshots.remove.bind(c.snapshots), { snapshotter: SNAPSHOTTER, key: id });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Bytes of the files that a container has written, as long as they are; undefined: it has no snapshot. */
export async function writtenBytesOf(c: Containerd, id: string): Promise<number | undefined> {
  if (!(await hasSnapshot(c, id))) return undefined;
  const [mount] = await mountsOf(c, id);
  const upper = mount?.options.find((text) => text.startsWith("upperdir="))?.slice(9);
  return upper === undefined ? 0 : bytesBelow(upper);
}

/** It may change meanwhile: what has just gone counts nothing. A file of two names counts once. */
export async function bytesBelow(root: string): Promise<number> {
  const seen = new Set<number>();
  const left = [root];
  let bytes = 0;
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    const stat = await lstat(path).catch(() => undefined);
    if (stat === undefined) continue;
    if (stat.isDirectory()) {
      const names = await readdir(path).catch(() => []);
      for (const name of names) left.push(join(path, name));
    } else if (stat.nlink === 1 || !seen.has(stat.ino)) {
      if (stat.nlink > 1) seen.add(stat.ino);
      bytes += stat.size;
    }
  }
  return bytes;
}

export async function mountsOf(c: Containerd, id: string): Promise<readonly Mount[]> {
  const request = { snapshotter: SNAPSHOTTER, key: id };
  return (await c.call(c.snapshots.mounts.bind(c.snapshots), request)).mounts;
}

/** The name of the snapshot that an image's containers stand on. */
export async function chainOf(c: Containerd, imageId: string): Promise<string> {
  const blob = await readBlob(c, imageId, CONFIG_BYTES_MAX);
  const config = parseConfig(blob);
  if (typeof config === "string") throw new Fault("IMAGE_CONFIG", { image: imageId, why: config });
  return chainIdOf(config.layers);
}

function readBlob(c: Containerd, digest: string, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = c.content.read({ digest, offset: 0, size: 0 }, c.metadata());
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on("data", ({ data }: { data: Buffer }) => {
      bytes += data.length;
      if (bytes > bytesMax) {
        stream.cancel();
        reject(new Fault("BLOB_TOO_LONG", { digest }));
      } else chunks.push(data);
    });
    stream.once("end", () => resolve(Buffer.concat(chunks)));
    stream.once("error", (error: ServiceError) => reject(c.faultOf(error)));
  });
}

/** Of a container that does not run: looked up in its layers as overlayfs merges them. */
export function userFilesOfLayers(mounts: readonly Mount[]): UserFiles {
  const layers = layersOf(mounts);
  return {
    passwd: readMerged(layers, "/etc/passwd"),
    group: readMerged(layers, "/etc/group"),
  };
}

/** Of a container that runs: it may change them, and links in it, while we look. */
export function userFilesOfProcess(pid: number): UserFiles {
  const root = openSync(`/proc/${pid}/root`, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return { passwd: readIn(root, "/etc/passwd"), group: readIn(root, "/etc/group") };
  } finally {
    closeSync(root);
  }
}

/** Uppermost first. */
export function layersOf(mounts: readonly Mount[]): readonly string[] {
  const [mount] = mounts;
  if (mount === undefined) return [];
  if (mount.type !== "overlay") return [mount.source];
  const option = (name: string) =>
    mount.options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const upper = option("upperdir");
  const lower = option("lowerdir")?.split(":") ?? [];
  return upper === undefined ? lower : [upper, ...lower];
}

/** The file's text; empty when it is none. Links are followed inside; nothing of them is left to the kernel. */
export function readMerged(layers: readonly string[], path: string): string {
  let todo = path.split("/").filter((name) => name !== "" && name !== ".");
  let trail: (readonly string[])[] = [layers];
  let links = 0;
  for (;;) {
    const name = todo.shift();
    const folders = trail.at(-1) ?? layers;
    if (name === undefined) return "";
    if (name === "..") {
      if (trail.length > 1) trail = trail.slice(0, -1);
      continue;
    }
    const found = lookIn(folders, name);
    switch (found.kind) {
      case "missing":
        return "";
      case "folders":
        trail = [...trail, found.paths];
        break;
      case "link": {
        if (++links > LINKS_MAX) return "";
        const parts = found.target.split("/").filter((part) => part !== "" && part !== ".");
        todo = [...parts, ...todo];
        if (found.target.startsWith("/")) trail = [layers];
        break;
      }
      case "file":
        return todo.length === 0 ? readHere(found.path) : "";
    }
  }
}

type Found =
  | { readonly kind: "missing" }
  | { readonly kind: "folders"; readonly paths: readonly string[] }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file"; readonly path: string };

// Documentation/filesystems/overlayfs.rst: folders of one name are merged down to one that is opaque or
// to something else of that name; a character device 0/0 says that nothing is there.
function lookIn(folders: readonly string[], name: string): Found {
  const merged: string[] = [];
  for (const folder of folders) {
    const path = join(folder, name);
    const info = lstatSync(path, { throwIfNoEntry: false });
    if (info === undefined) continue;
    if (info.isDirectory()) {
      merged.push(path);
      if (getxattr(path, "trusted.overlay.opaque") === "y") break;
      continue;
    }
    if (merged.length > 0 || (info.isCharacterDevice() && info.rdev === 0)) break;
    if (info.isSymbolicLink()) return { kind: "link", target: readlinkSync(path) };
    return info.isFile() ? { kind: "file", path } : { kind: "missing" };
  }
  return merged.length > 0 ? { kind: "folders", paths: merged } : { kind: "missing" };
}

function readHere(path: string): string {
  return readFd(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
}

function readIn(root: number, path: string): string {
  try {
    return readFd(openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK));
  } catch {
    return "";
  }
}

/** Closes it. What is longer than the limit is cut at it. */
function readFd(fd: number): string {
  try {
    const data = Buffer.alloc(USER_FILE_BYTES_MAX);
    let bytes = 0;
    for (let more = -1; more !== 0 && bytes < data.length; bytes += more) {
      more = readSync(fd, data, bytes, data.length - bytes, null);
    }
    return data.toString("utf8", 0, bytes);
  } catch {
    return "";
  } finally {
    closeSync(fd);
  }
}
