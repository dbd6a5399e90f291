// Runs one member of the Raft group.
import type { ConsensusOptions, RunningConsensus } from "./consensus-options.js";

/** Resolves when what the disk holds is applied and, for "new", this manager leads. */
export async function startConsensus<Outcome>(
  _options: ConsensusOptions<Outcome>,
): Promise<RunningConsensus<Outcome>> {
  throw new Error("unimplemented");
}
