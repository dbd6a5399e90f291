// The docker CLI of this machine, if there is one. Debian 12 has its series 20.10, Debian 13 has 26, and each words
// its own errors, helps and headings; ours, and the transcripts, are those of series 28. So every client is held to
// exit codes, and only one of series 28 to words.
import { spawnSync } from "node:child_process";

const WORDED_AS_SERIES = 28;

const asked = spawnSync("docker", ["--version"], { encoding: "utf8" });
const series = Number(/Docker version (\d+)\./.exec(asked.stdout ?? "")?.[1] ?? Number.NaN);

export const hasDocker = asked.status === 0;
export const saysTheSameWords = series === WORDED_AS_SERIES;

/** Series 20.10 lacks flags and commands of the transcripts; it says so itself, and nobody of ours is asked. */
export function isTooOldFor(stderr: string): boolean {
  return /^unknown (shorthand )?flag: |is not a docker command/.test(stderr) && !saysTheSameWords;
}
