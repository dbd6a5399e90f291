// What a member has written down, and the write under way: one at a time, each with all that there is to write.
import { assert } from "../../common/fault.js";
import { type HardState, MessageKind, type RaftMessage } from "../../proto/gen/raft.js";
import type { Persist } from "./ready.js";
import type { RaftState } from "./state.js";

export class Writes {
  /** The hard state on disk. */
  #stored: HardState;
  #underWay: Persist | undefined;

  constructor(stored: HardState) {
    this.#stored = stored;
  }

  get underWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** Whether this member's vote for itself in its present term is on disk. */
  holdsOwnVote({ id, term }: RaftState): boolean {
    return this.#stored.term === term && this.#stored.vote === id;
  }

  /** The next write; undefined when one is under way, or there is nothing to write. */
  next(s: RaftState): Persist | undefined {
    if (this.#underWay !== undefined) return undefined;
    const entries = s.log.unstable();
    const now = { term: s.term, vote: s.vote, commit: s.log.committed };
    mustGrow(this.#stored, now);
    const promised = now.term !== this.#stored.term || now.vote !== this.#stored.vote;
    // The commit index alone is not worth a write: it rides along. It must ride along with entries, so that who has
    // in its log what was appended after a membership change was applied has that change applied after a restart:
    // the next change (docs/raft-claims.md), and what makes a removal final (docs/consensus.md).
    const snapshot = s.restored;
    const worthWriting = promised || entries.length > 0 || snapshot !== undefined;
    // An older term's promise is of no use to anyone, and what it was about may have been replaced.
    const messages = s.afterPersist.filter((m) => m.term >= s.term || !isAppendResponse(m));
    s.afterPersist = [];
    if (!worthWriting && messages.length === 0) return undefined;
    const hardState = worthWriting ? now : undefined;
    this.#underWay = { snapshot, hardState, entries, messages };
    return this.#underWay;
  }

  /** The write under way is durable. */
  done(s: RaftState): void {
    const done = this.#underWay;
    assert(done !== undefined, "only a write under way is finished");
    this.#underWay = undefined;
    if (done.snapshot === s.restored) s.restored = undefined;
    if (done.hardState !== undefined) this.#stored = done.hardState;
    const last = done.entries.at(-1);
    if (last !== undefined) s.log.stableTo(last);
  }

  /** The write under way failed and left nothing behind: `next` hands it out again. */
  retract(s: RaftState): void {
    const failed = this.#underWay;
    assert(failed !== undefined, "only a write under way fails");
    this.#underWay = undefined;
    s.afterPersist = [...failed.messages, ...s.afterPersist];
  }
}

/** What a disk holds of promises is never taken back (Raft section 5.1, 5.2). */
function mustGrow(stored: HardState, now: HardState): void {
  assert(now.term >= stored.term, "terms only grow");
  assert(now.commit >= stored.commit, "what is committed stays committed");
  const changed = stored.vote !== 0 && now.vote !== stored.vote;
  assert(!changed || now.term > stored.term, "one vote a term");
}

function isAppendResponse({ kind }: RaftMessage): boolean {
  return kind === MessageKind.APPEND_RESPONSE;
}
