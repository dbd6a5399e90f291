// GET /skein/v1/raft: the managers' group. As this manager believes it, without asking anyone; with `all`, as each of
// them says of itself, and in a sentence what that comes to.
import type { AdminStatus, ManagerReport } from "../../proto/gen/admin.js";
import type {
  ElectionReport,
  MemberProgress,
  RaftMember,
  RaftReport,
} from "../../proto/gen/raft.js";
import { voteWhy } from "../member/election-words.js";
import { type Group, type GroupWords, groupOf, groupWords } from "../member/group-words.js";
import { nameIn, nameOf } from "../member/manager-names.js";
import { type Answer, json } from "./answer.js";
import { type Call, queryFlag } from "./call.js";
import { whenUp } from "./manager.js";
import { goTime } from "./times.js";

// Choice: as long as a request waits for a process that is being started, less what it takes to say that it is.
const STARTING_MS = 4_000;

export async function raft(call: Call): Promise<Answer> {
  const { membership } = call.node;
  const { clock } = call;
  const endMs = clock.monotonicMs() + STARTING_MS;
  // Waits for a manager process that is being started again, and says so if it takes too long.
  const status = await whenUp(call, async () => {
    const now = await membership.managerStatus();
    const isStarting = now?.state === "resuming" && now.message === "";
    return isStarting && clock.monotonicMs() < endMs ? undefined : now;
  });
  const nowMs = clock.nowMs();
  const all = queryFlag(call, "all");
  const reports = all && status.state === "running" ? await membership.managerReports() : undefined;
  const group = reports && groupOf(reports, status.raftId);
  return json({
    ...beliefJson(status),
    ...(group !== undefined && groupJson(group, nowMs)),
    ...(all && group === undefined && sayingJson(whyNoGroup(status, membership.status().error))),
  });
}

function beliefJson(status: AdminStatus): object {
  return {
    State: status.state,
    Message: status.message,
    RaftID: status.raftId,
    Term: status.term,
    LeaderNodeID: status.leaderNodeId,
    Commit: status.commit,
    Applied: status.applied,
    Members: status.members.map((member) => ({
      ...memberJson(member),
      ...progressJson(status.progress.find(({ raftId }) => raftId === member.raftId)),
    })),
  };
}

function memberJson({ raftId, nodeId, addr, learner }: RaftMember): object {
  return { RaftID: raftId, NodeID: nodeId, Addr: addr, Learner: learner };
}

/** Only who leads knows. */
function progressJson(progress: MemberProgress | undefined): object {
  if (progress === undefined) return {};
  const { match, lag, diskUs, reachable } = progress;
  return { Match: match, Lag: lag, DiskMicroseconds: diskUs, Reachable: reachable };
}

/** `resuming` has a message while it waits for something. `problem`: what the node itself says of its membership. */
function whyNoGroup({ state, message }: AdminStatus, problem: string): GroupWords {
  const saying = (what: string, why: string, advice: string): GroupWords => {
    return { summary: why === "" ? `${what}.` : `${what}: ${why}`, advice, notes: [] };
  };
  switch (state) {
    // Its message says what to do, too (manager/failure-words.ts).
    case "failed":
      return saying("The manager of this node does not run", message, "");
    case "resuming":
      return saying("The manager of this node is starting", message, AGAIN);
    case "removed":
      return saying("The other managers have taken this one's seat away", problem, "");
    default:
      return saying(
        "The manager of this node has no seat among the managers",
        problem,
        problem === "" ? AGAIN : "",
      );
  }
}

const AGAIN = "Look again in a moment.";

function sayingJson({ summary, advice, notes }: GroupWords): object {
  return { Summary: summary, Advice: advice, Notes: notes };
}

function groupJson(group: Group, nowMs: number): object {
  const { managers, self, leader, voters, needed, here } = group;
  const last = leader?.report.lastIndex ?? Math.max(...managers.map(lastIndexOf));
  const leaderNodeId = leader?.member?.nodeId;
  return {
    ...sayingJson(groupWords(group)),
    Term: self.report.term,
    Commit: self.report.commit,
    Applied: self.report.applied,
    // Whoever is found to lead; this manager may not hear it.
    ...(leaderNodeId !== undefined && { LeaderNodeID: leaderNodeId }),
    Quorum: { Voters: voters.length, Needed: needed, Answering: here.length },
    Members: managers.map((manager) => {
      const { member, report, hostname, error } = manager;
      const raftId = member?.raftId ?? 0;
      const told = leader?.report.progress.find((each) => each.raftId === raftId);
      return {
        ...(member && memberJson(member)),
        Hostname: hostname,
        Self: manager === self,
        Leader: manager === leader,
        Answers: report !== undefined,
        Error: error,
        ...(report && reportJson(report, last, nowMs)),
        ...progressJson(told),
        Elections: report?.elections.map((each) => electionJson(manager, each, group, nowMs)) ?? [],
      };
    }),
  };
}

function lastIndexOf({ report }: ManagerReport): number {
  return report?.lastIndex ?? 0;
}

function reportJson(report: RaftReport, last: number, nowMs: number): object {
  const { role, term, lastIndex, disk, leaderHeardMs, commit, applied } = report;
  return {
    Role: role,
    Term: term,
    Commit: commit,
    Applied: applied,
    Match: lastIndex,
    Lag: Math.max(0, last - lastIndex),
    ...(leaderHeardMs !== undefined && { LeaderHeardMilliseconds: leaderHeardMs }),
    LastWrite: goTime(disk?.wroteMs === undefined ? 0 : nowMs - disk.wroteMs),
    LastWriteMicroseconds: disk?.writeUs ?? 0,
    DiskMicroseconds: disk?.medianUs ?? 0,
    ...(disk?.writingMs !== undefined && { WritingMilliseconds: disk.writingMs }),
    DiskFull: disk?.full ?? false,
  };
}

function electionJson(
  by: ManagerReport,
  election: ElectionReport,
  { managers }: Group,
  nowMs: number,
): object {
  return {
    PreVote: election.preVote,
    Term: election.term,
    Began: goTime(nowMs - election.beganMs),
    Latest: goTime(nowMs - election.latestMs),
    Attempts: election.attempts,
    Outcome: election.outcome,
    LastIndex: election.lastIndex,
    HandedOver: election.handedOver,
    By: nameOf(by),
    Votes: election.votes.map((vote) => ({
      RaftID: vote.raftId,
      Name: nameIn(managers, vote.raftId),
      Answer: vote.answer,
      Why: voteWhy(vote, { by, election }, managers),
    })),
  };
}
