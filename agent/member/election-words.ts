// Elections of managers in words: who asked whom, and why no vote was given.
import type { ManagerReport } from "../../proto/gen/admin.js";
import { type ElectionReport, VoteRefusal, type VoteReport } from "../../proto/gen/raft.js";
import { nameIn, nameOf } from "./manager-names.js";

export interface Stood {
  readonly by: ManagerReport;
  readonly election: ElectionReport;
}

/** Choice: longer ago it says nothing of why there is no leader now. */
const LATELY_MS = 30_000;

/** The last election of each manager that has answered, if it was not won; the latest first. */
export function latestLost(managers: readonly ManagerReport[]): readonly Stood[] {
  return managers
    .flatMap((by) => {
      const election = by.report?.elections.at(-1);
      const isNews = election && election.outcome !== "won" && election.latestMs < LATELY_MS;
      return isNews ? [{ by, election }] : [];
    })
    .sort((a, b) => a.election.latestMs - b.election.latestMs);
}

/** "h2 asked whether it could win term 12, 0.4 s ago; h3 refused: the log is behind: 12 < 17." */
export function electionSentence(
  { by, election }: Stood,
  managers: readonly ManagerReport[],
): string {
  const asked = election.preVote
    ? `asked whether it could win term ${election.term}`
    : `stood for election in term ${election.term}`;
  const when = `${(election.latestMs / 1_000).toFixed(1)} s ago`;
  const votes = election.votes.map(
    (vote) =>
      `${nameIn(managers, vote.raftId)} ${ANSWERS[vote.answer] ?? "said"}${because(vote, { by, election }, managers)}`,
  );
  return `${nameOf(by)} ${asked}, ${when}; ${votes.join("; ")}.`;
}

const ANSWERS: Readonly<Record<string, string>> = {
  granted: "agreed",
  refused: "refused",
  none: "did not answer",
};

function because(vote: VoteReport, stood: Stood, managers: readonly ManagerReport[]): string {
  const why = voteWhy(vote, stood, managers);
  if (why === "") return "";
  return vote.answer === "none" ? ` (${why})` : `: ${why}`;
}

/** Why the vote was not given, or not answered; empty when it was given, or nobody knows. */
export function voteWhy(
  vote: VoteReport,
  { by, election }: Stood,
  managers: readonly ManagerReport[],
): string {
  if (vote.answer === "granted") return "";
  if (vote.answer !== "refused") {
    // What is wrong with a connection now says nothing of an election long ago, and little of one that was won.
    const isNews = election.outcome !== "won" && election.latestMs < LATELY_MS;
    const link = by.report?.links.find(({ raftId }) => raftId === vote.raftId);
    return isNews ? (link?.why ?? "") : "";
  }
  switch (vote.why) {
    case VoteRefusal.LOG_BEHIND:
      return vote.number > election.lastIndex
        ? `the log is behind: ${election.lastIndex} < ${vote.number}`
        : `the log is older: its ${election.lastIndex} is of an earlier term than the voter's ${vote.number}`;
    case VoteRefusal.LEADER_HEARD:
      return vote.other === vote.raftId
        ? "it leads itself"
        : `it had heard from leader ${nameIn(managers, vote.other)} ${(vote.heardMs / 1_000).toFixed(1)} s before`;
    case VoteRefusal.ALREADY_VOTED:
      return vote.other === vote.raftId
        ? "it had voted for itself in this term"
        : `it had voted for ${nameIn(managers, vote.other)} in this term`;
    case VoteRefusal.LATER_TERM:
      return `it is in term ${vote.number} already`;
    case VoteRefusal.STANDS_ITSELF:
      return "it stands itself, and goes first";
    default:
      return "it does not say why";
  }
}
