// A seat as its agent is told of it.
import type { AdminStatus } from "../proto/gen/admin.js";
import type { Member } from "./member.js";
import type { ManagerSeat } from "./seams.js";

export function statusOf(seat: ManagerSeat<Member>, member: Member): AdminStatus {
  const { raftId, term, leaderId, commit, applied, members } = member.consensus.status();
  const leader = members.find((each) => each.raftId === leaderId);
  const { listenAddr, advertiseAddr } = seat.identity;
  return {
    state: "running",
    message: "",
    raftId,
    term,
    leaderRaftId: leaderId,
    leaderNodeId: leader?.nodeId ?? "",
    commit,
    applied,
    members,
    progress: [...member.consensus.progress()],
    listenAddr,
    advertiseAddr,
    leaderAddr: leader?.addr ?? "",
    port: seat.counters(),
  };
}
