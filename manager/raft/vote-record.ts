// The elections that a member stood for lately, and what became of them: for people who ask why nobody leads.
// Decides nothing; nothing in it is read by the consensus.
import { MessageKind, type RaftMessage, VoteRefusal } from "../../proto/gen/raft.js";

/** Choice: a cut of a night is one record, since what goes the same way again is counted where it stands. */
const ELECTIONS_MAX = 8;

export type Outcome =
  | "open"
  | "won"
  /** So many refused that no majority is left. */
  | "refused"
  /** Neither that nor won when it was begun anew. */
  | "unanswered"
  /** Another was found to lead. */
  | "other-leader"
  /** Somebody is in a later term. */
  | "later-term";

export type VoteAnswer =
  | { readonly kind: "granted" | "none" }
  | { readonly kind: "refused"; readonly why: Why };

/** See VoteRefusal: which of the rest has a meaning depends on the code. */
export interface Why {
  readonly code: VoteRefusal;
  readonly other: number;
  readonly number: number;
  readonly heardMs: number;
}

/** One election, or several in a row that went the same way. */
export interface Election {
  readonly preVote: boolean;
  /** That it was for. */
  readonly term: number;
  readonly lastIndex: number;
  /** The outgoing leader asked for it. */
  readonly handedOver: boolean;
  /** When the first and the latest began, by `RaftState.nowMs`. */
  readonly beganMs: number;
  readonly latestMs: number;
  readonly attempts: number;
  readonly outcome: Outcome;
  /** By raft id, the candidate's own not among them. */
  readonly votes: ReadonlyMap<number, VoteAnswer>;
}

export type Begun = Pick<Election, "preVote" | "term" | "lastIndex" | "handedOver"> & {
  readonly nowMs: number;
  /** Who is asked. */
  readonly voters: readonly number[];
};

export class VoteRecord {
  #past: Election[] = [];
  #open: (Election & { readonly votes: Map<number, VoteAnswer> }) | undefined;

  begin({ nowMs, voters, ...begun }: Begun): void {
    this.end("unanswered");
    const votes = new Map(voters.map((voter) => [voter, { kind: "none" } as VoteAnswer]));
    this.#open = { ...begun, beganMs: nowMs, latestMs: nowMs, attempts: 1, outcome: "open", votes };
  }

  /** Any message: what is no answer to the election that is open is passed over. */
  note(m: RaftMessage): void {
    const votes = this.#open?.votes;
    const known = votes?.get(m.from);
    if (this.#open === undefined || known === undefined || known.kind === "granted") return;
    const answersThis =
      m.kind === MessageKind.NO_VOTE ||
      m.kind === (this.#open.preVote ? MessageKind.PRE_VOTE_RESPONSE : MessageKind.VOTE_RESPONSE);
    if (!answersThis) return;
    if (m.kind === MessageKind.NO_VOTE || m.reject) {
      votes?.set(m.from, { kind: "refused", why: whyOf(m) });
    } else if (m.term === this.#open.term) {
      votes?.set(m.from, { kind: "granted" });
    }
  }

  /** Nothing when none is open. */
  end(outcome: Outcome): void {
    const ended = this.#open;
    if (ended === undefined) return;
    this.#open = undefined;
    this.#past = added(this.#past, { ...ended, outcome });
  }

  /** The latest last; at most 8. */
  get elections(): readonly Election[] {
    return this.#open === undefined ? this.#past : added(this.#past, this.#open);
  }
}

function added(past: readonly Election[], one: Election): Election[] {
  const before = past.at(-1);
  if (before === undefined || !wentTheSameWay(before, one)) {
    return [...past, one].slice(-ELECTIONS_MAX);
  }
  const { beganMs, attempts } = before;
  return [...past.slice(0, -1), { ...one, beganMs, attempts: attempts + one.attempts }];
}

/** With the same answers of the same voters; how long ago a leader was heard is no difference. */
function wentTheSameWay(a: Election, b: Election): boolean {
  const sameQuestion = a.preVote === b.preVote && a.term === b.term && a.lastIndex === b.lastIndex;
  // One that was just begun is not shown as another that went wrong: its answers are still to come.
  if (!sameQuestion || a.outcome !== b.outcome || a.votes.size !== b.votes.size) return false;
  return [...a.votes].every(([voter, answer]) => sameAnswer(answer, b.votes.get(voter)));
}

function sameAnswer(a: VoteAnswer, b: VoteAnswer | undefined): boolean {
  if (a.kind !== "refused" || b?.kind !== "refused") return a.kind === b?.kind;
  return a.why.code === b.why.code && a.why.other === b.why.other && a.why.number === b.why.number;
}

function whyOf(m: RaftMessage): Why {
  const nothing = { code: m.refusal, other: 0, number: 0, heardMs: 0 };
  switch (m.refusal) {
    case VoteRefusal.LOG_BEHIND:
      return { ...nothing, number: m.index };
    case VoteRefusal.LEADER_HEARD:
      return { ...nothing, other: m.rejectHint, heardMs: m.context };
    case VoteRefusal.ALREADY_VOTED:
      return { ...nothing, other: m.rejectHint };
    case VoteRefusal.LATER_TERM:
      return { ...nothing, number: m.term };
    case VoteRefusal.STANDS_ITSELF:
      return nothing;
    default:
      // Of an earlier release, or a later one.
      return { ...nothing, code: VoteRefusal.UNSPECIFIED };
  }
}
