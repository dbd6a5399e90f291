import { addressTwice } from "./address-twice.js";
import { earlyAnswer } from "./early-answer.js";
import { earlyFsync } from "./early-fsync.js";
import { largerMatch } from "./larger-match.js";
import { lostWrite } from "./lost-write.js";
import { messageLost } from "./message-lost.js";
import type { Mutant } from "./mutant.js";
import { rowLost } from "./row-lost.js";
import { staleRead } from "./stale-read.js";
import { tailKept } from "./tail-kept.js";
import { toldAfterRemoval } from "./told-after-removal.js";
import { votesForAll } from "./votes-for-all.js";
import { wallTimers } from "./wall-timers.js";

/** In the order of the invariants (docs/simulator.md). */
export const MUTANTS: readonly Mutant[] = [
  votesForAll,
  earlyFsync,
  largerMatch,
  tailKept,
  rowLost,
  addressTwice,
  lostWrite,
  toldAfterRemoval,
  messageLost,
  wallTimers,
  earlyAnswer,
  staleRead,
];
