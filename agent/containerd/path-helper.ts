// Reads and writes a container's files for `docker cp`, as a process of its own: it makes the container's
// file system its root before it looks at any path, so that no link in it, and no change of one while we
// look, leads outside. Nothing is loaded after that: what would be loaded would be the container's.

import type { Stats } from "node:fs";
import {
  closeSync,
  createReadStream,
  createWriteStream,
  readFileSync,
  writeFileSync,
} from "node:fs";
import {
  chmod,
  type FileHandle,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rm,
  statfs,
  stat as statOf,
  symlink,
} from "node:fs/promises";
import { basename, dirname, join, posix } from "node:path";
import type { Writable } from "node:stream";
import { messageOf, unreachable } from "../../common/fault.js";
import { type TarEntry, type TarFile, tarEntries, tarOf } from "../images/tar.js";
import { chroot, mountWith, moveMount, openTree } from "../kernel/libc.js";
import type { PathStat } from "../seams.js";
import { goFileMode } from "../task/go-file-mode.js";
import type { PathAnswer, PathRequest, PathRoot } from "./path-protocol.js";

const REQUEST_FD = 3;
const ANSWER_FD = 4;

class Refused extends Error {}
class Missing extends Error {}

const answer = (value: PathAnswer) => writeFileSync(ANSWER_FD, `${JSON.stringify(value)}\n`);

async function main(): Promise<void> {
  // The agent's own is tighter, and folders that are made here are the container's.
  process.umask(0o022);
  const request = JSON.parse(readFileSync(REQUEST_FD, "utf8")) as PathRequest;
  // Before the root is changed: opening them may need what only the machine has.
  const [input, output] = [createReadStream("", { fd: 0 }), createWriteStream("", { fd: 1 })];
  try {
    await enter(request.root);
    const path = absolute(request.path);
    switch (request.operation) {
      case "stat":
        return answer({ kind: "done", stat: await pathStat(path) });
      case "read": {
        answer({ kind: "done", stat: await pathStat(path) });
        closeSync(ANSWER_FD);
        for await (const chunk of packed(path)) {
          if (!output.write(chunk)) await drained(output);
        }
        await new Promise<void>((resolve) => output.end(() => resolve()));
        return;
      }
      case "write": {
        const folder = await extractionPoint(path, request);
        for await (const entry of tarEntries(input)) await unpack(folder, entry, request);
        return answer({ kind: "done" });
      }
    }
  } catch (error) {
    process.exitCode = 1;
    answer(answerOf(error));
  } finally {
    input.destroy();
  }
}

function drained(output: Writable): Promise<void> {
  return new Promise((resolve) => output.once("drain", () => resolve()));
}

function answerOf(error: unknown): PathAnswer {
  if (error instanceof Missing) return { kind: "missing" };
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") return { kind: "missing" };
  const message = messageOf(error);
  if (error instanceof Refused || code === "EROFS" || (error as Error).name === "Refused") {
    return { kind: "refused", code: "invalid-argument", message };
  }
  return { kind: "failed", message };
}

// ---- The root ----------------------------------------------------------------------------------

async function enter(root: PathRoot): Promise<void> {
  if (root.kind === "process") {
    chroot(`/proc/${root.pid}/root`);
    process.chdir("/");
    return;
  }
  const { folder, rootfs, binds } = root;
  if (rootfs.type === "overlay") mountOverlay(rootfs.options, folder);
  else moveMount(openTree(rootfs.source), folder);
  // Copies first, while their sources can be seen; their places are looked up inside.
  const trees = binds.map(({ source, target }) => ({ tree: openTree(source), source, target }));
  const kinds = await Promise.all(binds.map(({ source }) => statOf(source)));
  chroot(folder);
  process.chdir("/");
  for (const [i, { tree, target }] of trees.entries()) {
    const there = await statOf(target).catch(() => undefined);
    if (there === undefined) {
      const isFolder = kinds[i]?.isDirectory() === true;
      await mkdir(isFolder ? target : dirname(target), { recursive: true, mode: 0o755 });
      if (!isFolder) await (await open(target, "a", 0o644)).close();
    }
    moveMount(tree, target);
  }
}

/** The kernel takes one page of options, and an image of many layers has more: so the paths are made relative. */
function mountOverlay(options: readonly string[], folder: string): void {
  const paths = options.flatMap((text) => text.split("=")[1]?.split(":") ?? []).filter(isPath);
  const first = paths[0] ?? "/";
  let common = dirname(first);
  while (common !== "/" && !paths.every((path) => path.startsWith(`${common}/`))) {
    common = dirname(common);
  }
  process.chdir(common);
  const relative = options.map((text) => {
    const at = text.indexOf("=");
    if (at < 0 || !isPath(text.slice(at + 1))) return text;
    const short = text
      .slice(at + 1)
      .split(":")
      .map((path) => posix.relative(common, path));
    return `${text.slice(0, at)}=${short.join(":")}`;
  });
  mountWith("overlay", folder, "overlay", 0, relative.join(","));
}

function isPath(text: string): boolean {
  return text.startsWith("/");
}

// ---- Looking -----------------------------------------------------------------------------------

/** Clean, from "/", with the "/" or "/." at its end that means what a link leads to. */
function absolute(path: string): string {
  const clean = posix.join("/", path).replace(/(.)\/$/, "$1");
  if (clean === "/") return "/";
  if (/(?:^|\/)\.$/.test(path)) return `${clean}/.`;
  return path.endsWith("/") ? `${clean}/` : clean;
}

async function pathStat(path: string): Promise<PathStat> {
  const info = await lstat(path);
  return {
    name: path === "/" ? "/" : path.endsWith("/.") ? "." : basename(path),
    size: info.size,
    mode: goFileMode(info.mode),
    mtimeMs: info.mtimeMs,
    linkTarget: info.isSymbolicLink() ? await targetOf(path) : "",
  };
}

async function targetOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    // It leads nowhere (yet).
    return posix.resolve(dirname(path), await readlink(path));
  }
}

// ---- Reading -----------------------------------------------------------------------------------

function packed(path: string): AsyncGenerator<Uint8Array> {
  const top = path === "/" ? "/" : path.endsWith("/.") ? "." : basename(path);
  return tarOf(filesOf(path, top, new Map()));
}

async function* filesOf(
  path: string,
  name: string,
  linked: Map<string, string>,
): AsyncGenerator<TarFile> {
  // What goes away while we look was not there, as Docker sees it too.
  const info = await lstat(path).catch(() => undefined);
  const kind = info && kindOf(info);
  // A socket is of no use anywhere else.
  if (info === undefined || kind === undefined) return;
  const common = {
    ...{ name, size: 0, mode: info.mode, uid: info.uid, gid: info.gid },
    mtimeSeconds: Math.max(0, Math.floor(info.mtimeMs / 1000)),
  };
  switch (kind) {
    case "file": {
      const inode = `${info.dev}:${info.ino}`;
      const earlier = info.nlink > 1 ? linked.get(inode) : undefined;
      if (earlier !== undefined) {
        yield { ...common, type: "link", linkName: earlier };
        return;
      }
      if (info.nlink > 1) linked.set(inode, name);
      const file = await open(path, O_READ).catch(() => undefined);
      if (file === undefined) return;
      try {
        yield { ...common, type: kind, size: info.size, data: contentsOf(file, info.size) };
      } finally {
        await file.close();
      }
      return;
    }
    case "symlink":
      yield { ...common, type: kind, linkName: await readlink(path) };
      return;
    case "directory": {
      const folder = `${name.replace(/\/$/, "")}/`;
      yield { ...common, type: kind, name: folder };
      if (await isKernels(path)) return;
      for (const child of (await readdir(path).catch(() => [])).sort()) {
        yield* filesOf(join(path, child), `${folder}${child}`, linked);
      }
      return;
    }
    case "fifo":
      yield { ...common, type: kind };
      return;
    case "character-device":
    case "block-device":
      yield { ...common, type: kind, device: deviceOf(info.rdev) };
      return;
    default:
      unreachable(kind);
  }
}

/** As many bytes as were announced, whatever becomes of the file meanwhile. */
async function* contentsOf(file: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let left = size; left > 0; ) {
    const chunk = Buffer.alloc(Math.min(left, CHUNK_BYTES));
    const { bytesRead } = await file.read(chunk, 0, chunk.length);
    yield bytesRead === 0 ? chunk : chunk.subarray(0, bytesRead);
    left -= bytesRead === 0 ? chunk.length : bytesRead;
  }
}

// include/uapi/linux/magic.h: proc, sysfs, cgroup and cgroup2, devpts, mqueue.
const KERNELS = [0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202];

/** Whether the kernel makes up what is in the folder: a copy of that is of no use, and may have no end. */
async function isKernels(path: string): Promise<boolean> {
  return KERNELS.includes((await statfs(path)).type);
}

// include/uapi/asm-generic/fcntl.h: O_RDONLY, O_NOFOLLOW, O_NONBLOCK; on arm64 O_NOFOLLOW is another bit.
const O_READ = (process.arch === "arm64" ? 0o100000 : 0o400000) | 0o4000;
const CHUNK_BYTES = 256 * 1024;

type Kind = "file" | "directory" | "symlink" | "fifo" | "character-device" | "block-device";

function kindOf(info: Stats): Kind | undefined {
  if (info.isFile()) return "file";
  if (info.isDirectory()) return "directory";
  if (info.isSymbolicLink()) return "symlink";
  if (info.isCharacterDevice()) return "character-device";
  if (info.isBlockDevice()) return "block-device";
  return info.isFIFO() ? "fifo" : undefined;
}

/** include/linux/kdev_t.h, new_encode_dev: 12 bits of major number between 20 of minor. */
function deviceOf(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

// ---- Writing -----------------------------------------------------------------------------------

async function extractionPoint(path: string, request: PathRequest): Promise<string> {
  const folder = await realpath(path);
  if (!(await statOf(folder)).isDirectory()) {
    throw new Refused("extraction point is not a directory");
  }
  const within = request.volumes
    .filter(({ target }) => folder === target || folder.startsWith(`${target.replace(/\/$/, "")}/`))
    .sort((a, b) => b.target.length - a.target.length)[0];
  if (within?.readOnly === true) throw new Refused("mounted volume is marked read-only");
  if (within === undefined && request.readOnlyRoot) {
    throw new Refused("container rootfs is marked read-only");
  }
  return folder;
}

async function unpack(folder: string, entry: TarEntry, request: PathRequest): Promise<void> {
  // Below the folder, whatever ".." the name holds.
  const path = join(folder, posix.join("/", entry.name)).replace(/(.)\/$/, "$1");
  const there = await lstat(path).catch(() => undefined);
  if (there !== undefined && !(there.isDirectory() && entry.type === "folder")) {
    if (request.keepKinds && there.isDirectory()) {
      throw new Refused(`cannot overwrite directory "${path}" with non-directory "${folder}"`);
    }
    if (request.keepKinds && entry.type === "folder") {
      throw new Refused(`cannot overwrite non-directory "${path}" with directory "${folder}"`);
    }
    if (path !== folder) await rm(path, { recursive: true, force: true });
  }
  if (there === undefined) await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  switch (entry.type) {
    case "folder":
      if (there === undefined || !there.isDirectory()) await mkdir(path);
      break;
    case "symlink":
      await symlink(entry.linkName, path);
      break;
    case "link":
      await link(join(folder, posix.join("/", entry.linkName)), path);
      return;
    case "file": {
      const file = await open(path, "wx", 0o600);
      try {
        for await (const chunk of entry.data) await file.writeFile(chunk);
      } finally {
        await file.close();
      }
      break;
    }
  }
  await lchown(path, entry.uid, entry.gid);
  if (entry.type !== "symlink") await chmod(path, entry.mode & 0o7777);
  if (entry.type !== "folder") await lutimes(path, entry.mtimeSeconds, entry.mtimeSeconds);
}

main().catch((error: unknown) => {
  process.exitCode = 1;
  answer({ kind: "failed", message: messageOf(error) });
});
