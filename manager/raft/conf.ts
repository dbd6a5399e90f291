// Who belongs to the group, and how one change at a time alters it (Raft dissertation section 4.1:
// any majority before and any majority after a change of one voter have a member in common).
import { unreachable } from "../../common/fault.js";
import { type ConfChange, ConfChangeKind, type RaftMember } from "../../proto/gen/raft.js";

/** In the order of raft id. */
export type Members = readonly RaftMember[];

export function findMember(members: Members, raftId: number): RaftMember | undefined {
  return members.find((member) => member.raftId === raftId);
}

export function votersOf(members: Members): readonly number[] {
  return members.filter((member) => !member.learner).map((member) => member.raftId);
}

/** Why the change makes no sense for these members, or undefined when it does. */
export function whyNot(members: Members, change: ConfChange): string | undefined {
  const { kind, member } = change;
  if (member === undefined || member.raftId < 1) return "it names no member";
  const present = findMember(members, member.raftId);
  switch (kind) {
    case ConfChangeKind.ADD_LEARNER:
      return present === undefined ? undefined : `${member.raftId} is a member already`;
    case ConfChangeKind.PROMOTE:
      return present?.learner === true ? undefined : `${member.raftId} is not a learner`;
    case ConfChangeKind.REMOVE:
      if (present === undefined) return `${member.raftId} is not a member`;
      return isLastVoter(members, present) ? "it is the last voter" : undefined;
    case ConfChangeKind.UPDATE_ADDR:
      return present === undefined ? `${member.raftId} is not a member` : undefined;
    case ConfChangeKind.UNRECOGNIZED:
      return "its kind is unknown";
    default:
      return unreachable(kind);
  }
}

function isLastVoter(members: Members, member: RaftMember): boolean {
  return !member.learner && votersOf(members).length === 1;
}

/** The members after the change. One that makes no sense changes nothing, the same on every manager. */
export function applyChange(members: Members, change: ConfChange): Members {
  const { kind, member } = change;
  if (member === undefined || whyNot(members, change) !== undefined) return members;
  const others = members.filter((other) => other.raftId !== member.raftId);
  if (kind === ConfChangeKind.REMOVE) return others;
  if (kind === ConfChangeKind.ADD_LEARNER) return sorted([...others, { ...member, learner: true }]);
  const present = findMember(members, member.raftId) ?? member;
  const changed =
    kind === ConfChangeKind.PROMOTE
      ? { ...present, learner: false }
      : { ...present, addr: member.addr };
  return sorted([...others, changed]);
}

function sorted(members: Members): Members {
  return [...members].sort((a, b) => a.raftId - b.raftId);
}
