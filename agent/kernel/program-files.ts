// The eBPF object of this build, and what is kept of it under RUN/bpf: a file system of the kernel's in which tables and
// links have names, and by which they outlive the agent.
//
//   RUN/bpf/maps-<digest of the object>/<table>     RUN/bpf/links/<place>  (only where there is tcx)
import { createHash } from "node:crypto";
import {
  closeSync as closeFd,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statfsSync,
  unlinkSync,
} from "node:fs";
import { fileURLToPath } from "node:url";
import { type BpfObject, type MapDefinition, readObject } from "../bpf/object.js";
import { TABLES, type TableName } from "../bpf/rows.js";
import { createMap, mapInfo, pin, pinned } from "./bpf-call.js";

import { MNT_DETACH, MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, umount2 } from "./libc.js";

const OBJECT = fileURLToPath(new URL("./bpf/programs.o", import.meta.url));
// linux/magic.h.
const BPF_FS_MAGIC = 0xcafe4a11;
// Choice: what a program is called in the kernel has 15 characters, and some of these are in it.
const DIGEST_DIGITS = 12;

const LINKS = "links";

export interface BuiltObject extends BpfObject {
  /** The same for the same bytes. */
  digestOf(...what: readonly (string | number)[]): string;
}

/** A sentence if this build has none that can be read. */
export function builtObject(): BuiltObject | string {
  if (!existsSync(OBJECT))
    return "The accelerated data path is not in this build: no clang was there to compile its eBPF programs.";
  const bytes = readFileSync(OBJECT);
  const object = readObject(bytes);
  if (typeof object === "string")
    return `The accelerated data path cannot be used: ${OBJECT} is damaged. ${object}`;
  const digestOf = (...what: readonly (string | number)[]) =>
    createHash("sha256").update(bytes).update(what.join(" ")).digest("hex").slice(0, DIGEST_DIGITS);
  return { ...object, digestOf };
}

export interface OpenMap {
  readonly fd: number;
  readonly id: number;
  readonly shape: MapDefinition;
}
export type OpenMaps = ReadonlyMap<TableName, OpenMap>;

/** As they stand; undefined: not all of them do. */
export function standingMaps(folder: string, object: BuiltObject): OpenMaps | undefined {
  if (!isMounted(folder)) return undefined;
  const path = mapsFolder(folder, object);
  const maps = new Map<TableName, OpenMap>();
  for (const name of TABLES) {
    const shape = object.maps.find((each) => each.name === name);
    const fd = pinned(`${path}/${name}`);
    if (shape !== undefined && fd !== undefined) {
      const { id, ...found } = mapInfo(fd);
      const fits = found.keyBytes === shape.keyBytes && found.valueBytes === shape.valueBytes;
      if (fits && found.type === shape.type) {
        maps.set(name, { fd, id, shape });
        continue;
      }
    }
    if (fd !== undefined) closeFd(fd);
    closeMaps(maps);
    return undefined;
  }
  return maps;
}

/** New and empty. What stood of another build, or of half a one, is not named any more: who uses it still has it. */
export function makeMaps(folder: string, object: BuiltObject): void {
  ensureMounted(folder);
  for (const name of foldersIn(folder)) if (name !== LINKS) empty(`${folder}/${name}`);
  const path = mapsFolder(folder, object);
  mkdirSync(path, { mode: 0o700 });
  for (const shape of object.maps) {
    const fd = createMap(shape);
    try {
      pin(fd, `${path}/${shape.name}`);
    } finally {
      closeFd(fd);
    }
  }
}

export function closeMaps(maps: OpenMaps): void {
  for (const { fd } of maps.values()) closeFd(fd);
}

/** Whether anything of ours is there, be it of another build. */
export function isAnythingThere(folder: string): boolean {
  return isMounted(folder) && foldersIn(folder).length > 0;
}

export function linksFolder(folder: string): string {
  return `${folder}/${LINKS}`;
}
export function hasLinks(folder: string): boolean {
  return isMounted(folder) && existsSync(linksFolder(folder));
}
export function makeLinks(folder: string): void {
  ensureMounted(folder);
  mkdirSync(linksFolder(folder), { recursive: true, mode: 0o700 });
}

/** All that has a name there, and the place itself. */
export function removeAll(folder: string): void {
  if (isMounted(folder)) {
    for (const name of foldersIn(folder)) empty(`${folder}/${name}`);
    umount2(folder, MNT_DETACH);
  }
  if (existsSync(folder)) rmdirSync(folder);
}

function mapsFolder(folder: string, object: BuiltObject): string {
  return `${folder}/maps-${object.digestOf()}`;
}

/** The kernel itself puts files of its own there. */
function foldersIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name === LINKS || name.startsWith("maps-"));
}

function empty(path: string): void {
  for (const name of readdirSync(path)) unlinkSync(`${path}/${name}`);
  rmdirSync(path);
}

function isMounted(folder: string): boolean {
  return existsSync(folder) && statfsSync(folder).type === BPF_FS_MAGIC;
}

export function ensureMounted(folder: string): void {
  if (isMounted(folder)) return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  mount("bpf", folder, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
}
