// Trees of this machine's files as tar archives, both ways, for `skein cp`.
import { createReadStream, createWriteStream } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readlink,
  realpath,
  rm,
  symlink,
  utimes,
} from "node:fs/promises";
import { dirname, join, normalize, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract, type Headers, type Pack, pack } from "tar-stream";
import { messageOf } from "../../common/fault.js";
import { Failure } from "../cli.js";

/** What is at `path`, under `name` in the archive. Devices, pipes and sockets are left out. */
export function packTree(path: string, name: string): Pack {
  const out = pack();
  add(out, path, name).then(
    () => out.finalize(),
    (error: unknown) => out.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return out;
}

async function add(out: Pack, path: string, name: string): Promise<void> {
  const info = await lstat(path);
  const header: Headers = {
    name,
    // With the bits of the kind: tar-stream takes a bare 0 for "unknown".
    mode: info.mode,
    uid: info.uid,
    gid: info.gid,
    mtime: info.mtime,
  };
  if (info.isSymbolicLink()) {
    await entry(out, { ...header, type: "symlink", linkname: await readlink(path) });
  } else if (info.isDirectory()) {
    await entry(out, { ...header, type: "directory", name: `${name}/` });
    for (const child of (await readdir(path)).sort()) {
      await add(out, join(path, child), `${name}/${child}`);
    }
  } else if (info.isFile()) {
    const file = out.entry({ ...header, type: "file", size: info.size });
    // A file that grows meanwhile is taken as long as it was when it was looked at.
    await pipeline(createReadStream(path, { end: Math.max(0, info.size - 1) }), file);
  }
}

function entry(out: Pack, header: Headers): Promise<void> {
  return new Promise((resolve, reject) => {
    out.entry(header, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * Unpacks below `folder`; `rename` says what becomes of the name at the top (undefined: it stays). Nothing
 * is written outside of the folder, whatever names and links the archive has. The bytes of files, in all.
 */
export async function unpackTree(
  archive: Readable,
  folder: string,
  rename: string | undefined,
): Promise<number> {
  const root = await realpath(folder);
  const entries = extract();
  const fed = pipeline(archive, entries);
  fed.catch(() => undefined);
  let bytes = 0;
  for await (const one of entries) {
    const { header } = one;
    const target = join(root, inside(header.name, rename));
    await stayWithin(root, target);
    await write(header, target, one);
    bytes += header.size ?? 0;
    one.resume();
  }
  await fed;
  return bytes;
}

function inside(name: string, rename: string | undefined): string {
  const parts = normalize(`/${name}`)
    .split(sep)
    .filter((part) => part !== "");
  // The top of an archive of a folder's contents is the dot.
  const dotted = name === "." || name.startsWith("./");
  if (rename !== undefined) parts.splice(0, dotted ? 0 : 1, rename);
  return parts.join(sep);
}

/** A link that the archive itself brought must not lead what follows it elsewhere. */
async function stayWithin(root: string, target: string): Promise<void> {
  if (target === root) return;
  const parent = await realpath(dirname(target));
  if (parent !== root && !parent.startsWith(root + sep)) {
    throw new Failure(`the archive leads out of ${root}: ${target}`);
  }
}

async function write(header: Headers, target: string, data: Readable): Promise<void> {
  const there = await lstat(target).catch(() => undefined);
  const isFolder = header.type === "directory";
  if (there && (there.isDirectory() ? !isFolder : true)) {
    if (there.isDirectory()) throw new Failure(`cannot overwrite directory ${target} with a file`);
    if (isFolder) throw new Failure(`cannot overwrite ${target} with a directory`);
    await rm(target);
  }
  switch (header.type) {
    case "directory":
      await mkdir(target, { recursive: true });
      break;
    case "symlink":
      await symlink(header.linkname ?? "", target);
      return;
    case "file":
      await pipeline(data, createWriteStream(target));
      break;
    default:
      // Devices, pipes and hard links out of the tree have no meaning on another machine.
      return;
  }
  if (header.mode !== undefined) await chmod(target, header.mode & 0o7777);
  if (header.mtime) await utimes(target, header.mtime, header.mtime).catch(() => undefined);
}

export function readFailure(path: string, error: unknown): Failure {
  const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
  return new Failure(missing ? `lstat ${path}: no such file or directory` : messageOf(error));
}
