// The durable log: see LogDisk in seams.ts.
import type { Logger } from "../../common/log.js";
import type { LogDisk } from "../seams.js";
import type { StateDir } from "./state-dir.js";

export interface LogDiskOptions {
  readonly dir: StateDir;
  readonly log: Logger;
  /** A segment that has grown past this is closed and the next one begun. */
  readonly segmentBytes?: number;
}

/** Opens the log of a state folder, empty if there is none. Nothing is read before `load`. */
export async function openLogDisk(_options: LogDiskOptions): Promise<LogDisk> {
  throw new Error("unimplemented");
}
