// Asks a group of managers for a seat, gives one back that is not taken up, hands the lead over.
import type { Clock } from "../common/clock.js";
import { messageOf, type Refusal, refuse } from "../common/fault.js";
import { NotLeader } from "../common/grpc/status.js";
import type { Logger } from "../common/log.js";
import type { Timing } from "../common/timing.js";
import type { RaftJoinResponse } from "../proto/gen/raft.js";
import { itself } from "./loops/itself.js";
import type { Member } from "./member.js";
import type { ManagerSeat } from "./seams.js";

type Seat = ManagerSeat<Member>;

interface Tools {
  readonly clock: Clock;
  readonly timing: Pick<Timing, "requestMs" | "dialMs" | "retryMinMs">;
  readonly log: Logger;
}

/** Asks the manager at `remoteAddr`, or the leader that it names. */
export async function askForSeat(
  seat: Seat,
  remoteAddr: string,
  { clock, timing }: Tools,
  signal: AbortSignal,
): Promise<RaftJoinResponse | Refusal> {
  const endMs = clock.monotonicMs() + timing.requestMs;
  let addr = remoteAddr;
  for (;;) {
    try {
      const request = { addr: seat.identity.advertiseAddr, nodeId: "" };
      return await seat.link(addr).membership.join(request, itself(signal));
    } catch (error) {
      const redirected = error instanceof NotLeader;
      if (clock.monotonicMs() > endMs) {
        const why = redirected ? "the swarm has no leader" : messageOf(error);
        return refuse("unavailable", `cannot join the managers by ${addr}: ${why}`);
      }
      addr = redirected ? (error.leaderAddr ?? remoteAddr) : remoteAddr;
      await clock.sleep(timing.retryMinMs, signal);
    }
  }
}

/** So that the group does not count with a member that will never answer. As well as it can. */
export async function returnSeat(
  seat: Seat,
  remoteAddr: string,
  { clock, timing, log }: Tools,
  signal: AbortSignal,
): Promise<void> {
  const endMs = clock.monotonicMs() + timing.dialMs;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timing.dialMs)]);
  let addr = remoteAddr;
  while (clock.monotonicMs() < endMs && !patience.aborted) {
    try {
      const request = { nodeId: "", seatOnly: true };
      await seat.link(addr).membership.leave(request, itself(patience));
      return;
    } catch (error) {
      addr = error instanceof NotLeader ? (error.leaderAddr ?? remoteAddr) : remoteAddr;
      log.info({ addr, err: messageOf(error) }, "could not give the seat back");
      await clock.sleep(timing.retryMinMs, patience).catch(() => {});
    }
  }
}

/** The lead, if it has it and somebody can take it. */
export async function handOver(member: Member, { timing, log }: Tools): Promise<void> {
  const { raftId, members } = member.consensus.status();
  if (member.leadership.leader().kind !== "self") return;
  const heir = members.find(
    (each) => each.raftId !== raftId && !each.learner && member.consensus.reachable(each.raftId),
  );
  if (!heir) return;
  const patience = AbortSignal.timeout(timing.dialMs);
  await member.consensus.transferLeadership(heir.raftId, patience).catch((error: unknown) => {
    log.warn({ err: messageOf(error) }, "could not hand over the lead");
  });
}
