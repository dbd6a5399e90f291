// The state with which a swarm goes on from what one manager has: of a group whose quorum is lost for good, or from a
// backup. Pure: what the disk held in, the snapshot that a group of one begins with out (docs/recovery.md).
import { assert, isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { ConfChange, EntryKind, type RaftMember, type RaftSnapshot } from "../../proto/gen/raft.js";
import { Batch } from "../../proto/gen/store.js";
import { type Node, NodeState, Role } from "../../proto/gen/types.js";
import { applyChange, type Members } from "../raft/conf.js";
import type { LogPosition } from "../raft/log.js";
import type { StoredLog } from "../seams.js";
import { Store } from "../store/store.js";
import type { Draft, StoreView } from "../store/view.js";

export interface Replayed {
  readonly store: Store;
  readonly members: Members;
  /** Of the last entry; its term is at least that of the hard state. */
  readonly last: LogPosition;
}

/**
 * All that the log holds, applied. Also what this manager does not know to be committed: it may be, and somebody may
 * have been told so. A leader that this manager would have become keeps it as well (Raft section 5.4.2).
 */
export function replayed({ snapshot, entries, hardState }: Omit<StoredLog, "tornBytes">): Replayed {
  const store = new Store();
  if (snapshot !== undefined) store.restore(snapshot.data);
  let members: Members = snapshot?.meta?.conf?.members ?? [];
  for (const { index, kind, data } of entries) {
    if (kind === EntryKind.CONF_CHANGE) members = applyChange(members, ConfChange.decode(data));
    else if (data.length > 0) store.apply(index, data);
  }
  const { index = 0, term = 0 } = entries.at(-1) ?? snapshot?.meta ?? {};
  return { store, members, last: { index, term: Math.max(term, hardState.term) } };
}

export interface Anew {
  readonly nowMs: number;
  /** The only member, by a number that was never used: under its old one it has promised what it may not keep. */
  readonly self: RaftMember;
  /** The member's node; it need not be in the store. */
  readonly node: (known: Node | undefined) => Node;
}

/**
 * What a group of one begins with. Ids, labels, networks, services, secrets and tokens stay; the other managers'
 * nodes are workers, and down until they are heard. Changes `store`.
 */
export function begunAnew(
  { store, last }: Omit<Replayed, "members">,
  anew: Anew,
): RaftSnapshot | Refusal {
  const { self, nowMs } = anew;
  const index = firstIndex(last.index, nowMs);
  const done = store.draft((draft) => {
    const result = draft.attempt(nowMs, (inner) => rewrite(inner, anew));
    return isRefusal(result) ? result : draft.transactions;
  });
  if (isRefusal(done)) return done;
  const outcomes = store.apply(index, Batch.encode({ transactions: [...done] }).finish());
  assert(
    outcomes.every((outcome) => outcome === undefined),
    "what was drafted can be applied",
  );
  const conf = { members: [{ ...self, learner: false }] };
  return { meta: { index, term: last.term + 1, conf }, data: store.snapshot() };
}

// Choice: no manager writes as many entries a second, by far.
const ENTRIES_A_SECOND_MAX = 2 ** 20;

/**
 * An index is a revision, by which agents know what they have: one that was used, by the entries that were lost or by
 * another that was begun anew from the same backup, must not mean something else. So each begins at an index that no
 * earlier one can have come to by its time. Until the year 2106 it is a number that JavaScript holds exactly.
 */
function firstIndex(last: number, nowMs: number): number {
  const byTime = Math.floor(Math.max(0, nowMs) / 1_000) * ENTRIES_A_SECOND_MAX;
  return Math.max(last + ENTRIES_A_SECOND_MAX, byTime);
}

function rewrite(draft: Draft, { self, nowMs, node }: Anew): true | Refusal {
  const cluster = draft.cluster();
  if (cluster === undefined) return refuse("failed-precondition", "it holds no swarm");
  draft.update("cluster", { ...cluster, generation: Math.max(cluster.generation + 1, nowMs) });
  for (const other of formerManagers(draft, self.nodeId)) {
    draft.update("node", {
      ...other,
      ...(other.spec && { spec: { ...other.spec, role: Role.WORKER } }),
      role: Role.WORKER,
      manager: undefined,
      state: NodeState.DOWN,
      message: "was a manager, and has not been heard since the swarm was recovered without it",
      silent: false,
    });
  }
  const known = draft.node(self.nodeId);
  const after = { ...node(known), manager: { raftId: self.raftId, addr: self.addr } };
  if (known === undefined) draft.create("node", after);
  else draft.update("node", after);
  return true;
}

function formerManagers(view: StoreView, ownId: string): readonly Node[] {
  return [...view.nodes()].filter(
    ({ id, role, spec, manager }) =>
      id !== ownId && (manager !== undefined || [role, spec?.role].includes(Role.MANAGER)),
  );
}
