// Where a container's supervisor and the agent leave things for each other, also across their deaths.
// What is of this boot only is in the run folder; what must outlive the machine is in the state folder.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Exit } from "../task/runtime.js";
import type { ProcessMark } from "./processes.js";
import { maybeJson, replaceJson } from "./small-json.js";

export interface ShimFolders {
  /** `<run>/containers/<first 12 of id>`: short, for a socket's path has 107 bytes at most (unix(7)). */
  readonly run: string;
  /** `<state>/containers/<id>` */
  readonly state: string;
}

export interface StartedFile {
  readonly life: number;
  readonly atMs: number;
  readonly shim: ProcessMark;
  readonly holder: ProcessMark;
}

export const socketPath = (folders: ShimFolders) => join(folders.run, "shim.sock");
export const errorPath = (folders: ShimFolders) => join(folders.run, "shim.err");
const startedPath = (folders: ShimFolders) => join(folders.run, "started.json");
const exitPath = (folders: ShimFolders, life: number) => join(folders.state, `exit-${life}.json`);

export function writeStarted(folders: ShimFolders, started: StartedFile): void {
  replaceJson(startedPath(folders), started);
}

export function readStarted(folders: ShimFolders, life: number): StartedFile | undefined {
  const started = maybeJson(startedPath(folders)) as StartedFile | undefined;
  return started?.life === life ? started : undefined;
}

export function writeExit(folders: ShimFolders, life: number, exit: Exit): void {
  replaceJson(exitPath(folders, life), exit);
}

export function readExit(folders: ShimFolders, life: number): Exit | undefined {
  const exit = maybeJson(exitPath(folders, life)) as Exit | undefined;
  return typeof exit?.exitCode === "number" ? exit : undefined;
}

/** What an earlier life's end was is in the container's own record by now. */
export async function forgetExit(folders: ShimFolders, life: number): Promise<void> {
  await rm(exitPath(folders, life), { force: true });
}
