// From what the disk holds, and what the caller says this manager is, to a Raft member.
import { Fault } from "../../common/fault.js";
import type { RaftSnapshot } from "../../proto/gen/raft.js";
import { Raft } from "../raft/raft.js";
import type { LogDisk, StoredLog } from "../seams.js";
import type { ConsensusOptions } from "./consensus-options.js";

// A group begins with a snapshot at this position that holds its first member and an empty state: so
// whoever joins later always learns the members from a snapshot, never from a half-replayed log.
const BIRTH = { index: 1, term: 1 };

export async function openRaft<Outcome>(options: ConsensusOptions<Outcome>): Promise<Raft> {
  const { bootstrap, disk, random } = options;
  const stored = await loadOrBegin(options, disk);
  if (stored.snapshot !== undefined) options.machine.restore(stored.snapshot.data);
  const id = bootstrap.kind === "resume" ? bootstrap.raftId : bootstrap.self.raftId;
  return new Raft({
    id,
    random,
    hardState: stored.hardState,
    snapshot: stored.snapshot,
    entries: stored.entries,
  });
}

async function loadOrBegin<Outcome>(
  { bootstrap, machine }: ConsensusOptions<Outcome>,
  disk: LogDisk,
): Promise<StoredLog> {
  const stored = await disk.load();
  const isEmpty = stored.snapshot === undefined && stored.entries.length === 0;
  switch (bootstrap.kind) {
    case "resume":
      if (isEmpty) throw new Fault("LOG_EMPTY", { why: "this manager has no log to resume" });
      return stored;
    case "join":
      // A join that was cut short goes on from what it had.
      return stored;
    case "new": {
      if (!isEmpty) throw new Fault("LOG_NOT_EMPTY", { why: "this manager has a log already" });
      const conf = { members: [{ ...bootstrap.self, learner: false }] };
      const snapshot: RaftSnapshot = {
        meta: { ...BIRTH, conf },
        data: machine.snapshot(),
      };
      const hardState = { term: BIRTH.term, vote: bootstrap.self.raftId, commit: BIRTH.index };
      await disk.saveSnapshot(snapshot, BIRTH.index + 1);
      await disk.persist(hardState, []);
      return { hardState, snapshot, entries: [], tornBytes: 0 };
    }
  }
}
