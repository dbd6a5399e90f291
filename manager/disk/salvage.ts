// What can still be read of a log, damaged or not: the newest snapshot that verifies, and the entries that follow it
// up to the first one that is missing. Nothing is changed, not even a torn tail.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import type { Entry, HardState, LogFrame, RaftSnapshot } from "../../proto/gen/raft.js";
import type { Salvaged } from "../seams.js";
import type { Keyring } from "./keyring.js";
import { Replay } from "./replay.js";
import { readableRuns } from "./segment-format.js";
import { SnapshotFiles } from "./snapshot-file.js";
import type { StateDir } from "./state-dir.js";

const SEGMENT_NAME = /^(\d{16})\.log$/;

interface Damage {
  readonly file: string;
  readonly offset: number;
}

/** Faults: KEY_MISSING, KEY_LOCKED; LOG_LOST: no snapshot verifies, so that there is nothing to begin from. */
export async function salvage(dir: StateDir, keys: Keyring): Promise<Salvaged> {
  await keys.ensure();
  const files = new SnapshotFiles(join(dir.path, "snapshots"), keys);
  const { snapshot, damaged } = await files.loadSound();
  if (snapshot === undefined) {
    throw new Fault("LOG_LOST", { file: damaged ?? files.dir, why: "no snapshot in it verifies" });
  }
  const log = await readRuns(join(dir.path, "log"), keys.all);
  const kept = bestEntries(log.runs, snapshot);
  const keptTo = kept.at(-1)?.index ?? snapshot.meta?.index ?? 0;
  const knownLost = Math.max(0, lastIndex(log.runs) - keptTo);
  // A file may also be missing as a whole: then only what is gone tells.
  const missing = knownLost === 0 ? undefined : { file: files.dir, offset: 0 };
  const first = damaged === undefined ? (log.damage ?? missing) : { file: damaged, offset: 0 };
  return {
    stored: { hardState: highest(log.runs), snapshot, entries: kept },
    damage: first && { ...first, knownLost },
  };
}

type Runs = readonly (readonly LogFrame[])[];

/** Frames that follow each other without damage, over all segments. */
async function readRuns(
  folder: string,
  keys: readonly Uint8Array[],
): Promise<{ runs: Runs; damage: Damage | undefined }> {
  const numbers = await segmentNumbers(folder);
  const runs: LogFrame[][] = [[]];
  let damage: Damage | undefined;
  const broken = (file: string, offset: number) => {
    damage ??= { file, offset };
    runs.push([]);
  };
  for (const [i, number] of numbers.entries()) {
    const path = pathOf(folder, number);
    const before = numbers[i - 1];
    if (before !== undefined && before + 1 !== number) broken(pathOf(folder, before + 1), 0);
    const read = readWithAny(await readFile(path), keys);
    for (const { frames, brokenAt } of read.runs) {
      if (brokenAt !== undefined) broken(path, brokenAt);
      runs.at(-1)?.push(...frames);
    }
    const isLast = i === numbers.length - 1;
    if (read.rest === "torn" && !isLast) broken(path, read.soundBytes);
  }
  return { runs, damage };
}

/** By the key that it is encrypted with: the one that opens most of it. */
function readWithAny(bytes: Buffer, keys: readonly Uint8Array[]): ReturnType<typeof readableRuns> {
  const tried = keys.map((key) => readableRuns(bytes, key));
  const count = ({ runs }: (typeof tried)[number]) => runs.flatMap(({ frames }) => frames).length;
  return tried.reduce((best, each) => (count(each) > count(best) ? each : best));
}

/**
 * Those of the last run in which the entry right after the snapshot is. A run that begins after damage is good only
 * so: else what the damaged part had replaced of the entries before it is not known.
 */
function bestEntries(runs: Runs, { meta }: RaftSnapshot): readonly Entry[] {
  const index = meta?.index ?? 0;
  const term = meta?.term ?? 0;
  for (const frames of [...runs].reverse()) {
    const replay = new Replay();
    let entries: readonly Entry[] = [];
    for (const frame of frames) {
      if (replay.add(frame) !== undefined) break;
      entries = replay.entries;
    }
    if (!entries.some((entry) => entry.index === index + 1)) continue;
    replay.startFrom({ index, term });
    const after = replay.after(index);
    if (after !== undefined && after.length > 0) return after;
  }
  return [];
}

function lastIndex(runs: Runs): number {
  let last = 0;
  for (const frame of runs.flat()) {
    for (const { index } of frame.entries) last = Math.max(last, index);
    last = Math.max(last, frame.snapshot?.index ?? 0);
  }
  return last;
}

function highest(runs: Runs): HardState {
  let state: HardState = { term: 0, vote: 0, commit: 0 };
  for (const { hardState } of runs.flat()) {
    if (hardState !== undefined && hardState.term >= state.term) state = hardState;
  }
  return state;
}

async function segmentNumbers(folder: string): Promise<readonly number[]> {
  try {
    const names = await readdir(folder);
    const digits = names.map((name) => SEGMENT_NAME.exec(name)?.[1]);
    return digits
      .flatMap((each) => (each === undefined ? [] : [Number(each)]))
      .sort((a, b) => a - b);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw new Fault("STATE_READ", { path: folder }, error);
  }
}

function pathOf(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(16, "0")}.log`);
}
