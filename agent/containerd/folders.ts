// Where a container's things are on this node.
//
//   <run>/containers/<first 12 of id>/   of this life only; gone after a reboot
//     stdin stdout stderr                FIFOs between the shim and the agent
//     hosts hostname resolv.conf         laid over those in the container
//     files/                             a tmpfs: secrets and configs
//     execs/<id>/                        FIFOs of one more process
//     started.json                       what runs, for an agent that starts while containerd does not answer
//   <state>/containers/<id>/
//     log.json                           its output
//     containerd.json                    what is needed to find its files again, and that it is one of ours
//     exit-<life>.json                   how a life ended
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MNT_DETACH, MS_NODEV, MS_NOEXEC, MS_NOSUID, mountWith, umount2 } from "../kernel/libc.js";
import type { ProcessMark } from "../runtime/processes.js";
import { maybeJson, replaceJson } from "../runtime/small-json.js";
import type { ContainerFile, MountPoint } from "../seams.js";
import { shortId } from "../task/words.js";

export interface Folders {
  readonly run: string;
  readonly state: string;
}

/** What is known of a container between its lives. */
export interface KeptRecord {
  readonly imageId: string;
  readonly mountPoints: readonly MountPoint[];
  readonly readOnlyRoot: boolean;
}

export interface StartedRecord {
  readonly life: number;
  readonly atMs: number;
  readonly mark: ProcessMark;
}

export function foldersOf(runDir: string, stateDir: string, id: string): Folders {
  return {
    run: join(runDir, "containers", shortId(id)),
    state: join(stateDir, "containers", id),
  };
}

const keptPath = (folders: Folders) => join(folders.state, "containerd.json");
const startedPath = (folders: Folders) => join(folders.run, "started.json");
const filesPath = (folders: Folders) => join(folders.run, "files");
export const execFolder = (folders: Folders, execId: string) => join(folders.run, "execs", execId);

export function isOurs(folders: Folders): boolean {
  return existsSync(keptPath(folders));
}

export function writeKept(folders: Folders, kept: KeptRecord): void {
  replaceJson(keptPath(folders), kept);
}

export function readKept(folders: Folders): KeptRecord | undefined {
  const value = maybeJson(keptPath(folders)) as KeptRecord | undefined;
  return typeof value?.imageId === "string" ? value : undefined;
}

export function writeStarted(folders: Folders, started: StartedRecord): void {
  replaceJson(startedPath(folders), started);
}

export function readStarted(folders: Folders, life: number): StartedRecord | undefined {
  const value = maybeJson(startedPath(folders)) as StartedRecord | undefined;
  return value?.life === life ? value : undefined;
}

/** All of the life's own folder, with what is mounted in it. */
export async function removeRunFolder(folders: Folders): Promise<void> {
  unmountFiles(folders);
  await rm(folders.run, { recursive: true, force: true });
}

/** Puts the files on a tmpfs of their own. Answers where each lies. */
export async function layOutFiles(
  folders: Folders,
  files: readonly ContainerFile[],
): Promise<
  readonly { readonly source: string; readonly target: string; readonly readOnly: true }[]
> {
  if (files.length === 0) return [];
  const folder = filesPath(folders);
  unmountFiles(folders);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const bytes = files.reduce((sum, { data }) => sum + data.length + PAGE_BYTES, PAGE_BYTES);
  mountWith("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, `size=${bytes},mode=700`);
  const laid = [];
  for (const [i, file] of files.entries()) {
    const source = join(folder, String(i));
    // Not readable by anybody until it belongs to whom it shall.
    await writeFile(source, file.data, { mode: 0o000 });
    await own(source, file);
    laid.push({ source, target: file.target, readOnly: true as const });
  }
  return laid;
}

// The kernel counts a tmpfs in pages; 64 KiB is the largest that there is.
const PAGE_BYTES = 65_536;

async function own(path: string, { uid, gid, mode }: ContainerFile): Promise<void> {
  await chown(path, uid, gid);
  await chmod(path, mode & 0o7777);
}

function unmountFiles(folders: Folders): void {
  const folder = filesPath(folders);
  // Twice laid out, twice mounted: until there is nothing.
  for (let i = 0; i < 8 && existsSync(folder); i++) {
    try {
      umount2(folder, MNT_DETACH);
    } catch {
      return;
    }
  }
}
