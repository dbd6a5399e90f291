// `<state>/volumes/NAME/`: `volume.json` says what it is, `_data` is what containers see.
import { spawn } from "node:child_process";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
} from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  ensureFolder,
  hasCode,
  readIfThere,
  removeDurably,
  replaceFile,
} from "../../common/durable-files.js";
import { Fault, isRefusal } from "../../common/fault.js";
import { MNT_DETACH, mount, umount2 } from "../kernel/libc.js";
import type { VolumeDisk, VolumeRecord } from "../task/keeping.js";
import { VOLUME_NAME } from "../task/volume-name.js";
import { mountCall } from "../task/volume-options.js";

const FORMAT = 1;
// Docker's: whoever is in a container passes through to what was mounted, and lists nothing on the way.
const FOLDER_MODE = 0o701;
const DATA_MODE = 0o755;

export function volumeDiskAt(stateDir: string): VolumeDisk {
  const root = join(stateDir, "volumes");
  const folder = (name: string) => join(root, name);
  const data = (name: string) => join(root, name, "_data");
  const file = (name: string) => join(root, name, "volume.json");
  const unmount = async (name: string) => {
    // One mount over another is possible after a crash; more are not ours.
    for (let left = 4; left > 0 && (await isMounted(data(name))); left--) {
      umount2(data(name), MNT_DETACH);
    }
  };
  return {
    async load() {
      const names = await readdir(root).catch(() => []);
      const records: VolumeRecord[] = [];
      for (const name of names.filter((each) => VOLUME_NAME.test(each))) {
        const text = await readIfThere(file(name));
        // A crash in the middle of making it, or of removing it. What is unreadable is left alone.
        if (text === undefined) await removeDurably(folder(name));
        else records.push(...parseVolumeRecord(text.toString(), name));
      }
      return records;
    },
    async create(record) {
      await ensureFolder(root, FOLDER_MODE);
      await ensureFolder(folder(record.name), FOLDER_MODE);
      await ensureFolder(data(record.name), DATA_MODE);
      // The agent's umask must not decide who reads a volume.
      await chmod(data(record.name), DATA_MODE);
      await replaceFile(
        file(record.name),
        Buffer.from(JSON.stringify({ format: FORMAT, ...record })),
      );
    },
    async remove(name) {
      await unmount(name);
      // Not a file goes of what is mounted elsewhere.
      if (await isMounted(data(name))) throw new Fault("VOLUME_MOUNTED", { path: data(name) });
      await removeDurably(file(name));
      await removeDurably(folder(name));
    },
    mountpoint: data,
    bytes: (name) => bytesBelow(data(name)),
    async isEmpty(name) {
      const found = await readdir(data(name)).catch(() => ["?"]);
      return found.length === 0;
    },
    async fill(name, tar) {
      const work = await mkdtemp(join(folder(name), "fill-"));
      try {
        await unpack(tar, work);
        const [only, ...more] = await readdir(work);
        const isFolder = only !== undefined && (await lstat(join(work, only))).isDirectory();
        // A file, where a volume is to be: the volume stays empty.
        if (only === undefined || more.length > 0 || !isFolder) return;
        await rmdir(data(name));
        await rename(join(work, only), data(name));
      } finally {
        await rm(work, { recursive: true, force: true });
        await mkdir(data(name), { recursive: true, mode: DATA_MODE });
      }
    },
    async mount(record) {
      const call = mountCall(record.options);
      if (call === undefined || isRefusal(call) || (await isMounted(data(record.name)))) return;
      const { source, flags } = call;
      if (call.kind === "tmpfs") mount(source, data(record.name), "tmpfs", flags, call.data);
      else {
        mount(source, data(record.name), null, flags);
        // mount(2): a bind takes its other flags only when it is mounted again.
        if ((flags & ~MS_BIND_REC) !== 0) {
          mount(source, data(record.name), null, flags | MS_REMOUNT);
        }
      }
    },
    unmount,
    async below(name, subpath) {
      const top = await realpath(data(name)).catch(() => undefined);
      const path = await realpath(join(data(name), subpath)).catch(() => undefined);
      if (top === undefined || path === undefined) return undefined;
      return path === top || path.startsWith(`${top}/`) ? path : undefined;
    },
    async hasSource(path, make) {
      if (await isThere(path)) return true;
      if (!make) return false;
      await mkdir(path, { recursive: true, mode: DATA_MODE });
      return true;
    },
  };
}

const MS_BIND_REC = 4096 | 16384;
const MS_REMOUNT = 32;

function parseVolumeRecord(text: string, name: string): readonly VolumeRecord[] {
  try {
    const { format, ...record } = JSON.parse(text) as VolumeRecord & { format: number };
    const isWhole =
      format === FORMAT &&
      record.name === name &&
      typeof record.createdAtMs === "number" &&
      typeof record.labels === "object" &&
      typeof record.options === "object";
    return isWhole ? [record] : [];
  } catch {
    return [];
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return false;
    throw new Fault("FILE_READ", { path }, error);
  }
}

/** proc_pid_mountinfo(5): the fifth field, with octal escapes for what is no plain character. */
async function isMounted(path: string): Promise<boolean> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  const plain = (text = "") =>
    text.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  const real = await realpath(path).catch(() => path);
  return lines.some((line) => plain(line.split(" ")[4]) === real);
}

async function bytesBelow(path: string): Promise<number> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) bytes += await bytesBelow(below);
    else bytes += (await lstat(below).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

/** By tar(1), which takes nothing outside of the folder. */
async function unpack(tar: Readable, folder: string): Promise<void> {
  const argv = ["--extract", "--preserve-permissions", "--same-owner", "--numeric-owner"];
  const child = spawn("tar", [...argv, "--xattrs", "--xattrs-include=*", "--directory", folder], {
    stdio: ["pipe", "ignore", "pipe"],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    if (said.length < 1_000) said += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  ended.catch(() => undefined);
  // Why there was nothing to unpack says more than what tar says of nothing.
  const fed = await pipeline(tar, child.stdin).then(
    () => undefined,
    (error: unknown) => error,
  );
  const code = await ended;
  if (code !== 0 || fed !== undefined) {
    throw new Fault("VOLUME_FILL", { folder, said: said.slice(0, 500) }, fed);
  }
}
