// How much of everything one node takes, and what it says then. All are choices: far above what a
// machine of a few cores is used for, and low enough that a loop of a script ends in a sentence
// instead of an exhausted machine.
import { type Refusal, refuse } from "../../common/fault.js";

export const CONTAINERS_MAX = 1_000;
export const ATTACHMENTS_MAX = 1_000;
export const EXECS_MAX = 64;
/** Execs that have ended are remembered for whoever asks for their exit code. */
export const ENDED_EXECS_MAX = 64;
export const ATTACHED_MAX = 16;
export const LOG_READERS_MAX = 32;

export function tooMany(what: string, limit: number): Refusal {
  return refuse("resource-exhausted", `there are ${limit} ${what} already, which is the limit`);
}
