// A node's membership ends: a person has it leave, or a crash has left of it what was never one. The swarm is told as
// far as somebody hears it; the node leaves in any case.
import { Fault, isRefusal, messageOf, type Refusal } from "../../common/fault.js";
import type { AdminStatus } from "../../proto/gen/admin.js";
import * as words from "../member/words.js";
import type { ManagerHost } from "../seams.js";
import { processState } from "./manager-process.js";
import type { Member } from "./member.js";
import type { MembershipDeps, MembershipState } from "./membership-state.js";

export async function leaveSwarm(
  force: boolean,
  state: MembershipState,
  deps: MembershipDeps,
): Promise<Refusal | undefined> {
  const { member } = state;
  if (member === undefined) return words.notInSwarm();
  if (state.locked && !force) return words.leaveLocked();
  // A person who demoted the node and then has it leave should not have to wait in between.
  if (!force) await member.demotedWithin(deps.timing.dialMs);
  const isManager = member.record.role === "manager";
  if (isManager && !force) return needsForce(member, deps);
  await sayGoodbye(member, isManager, deps);
  await state.end();
  deps.log.info({ node: member.record.nodeId }, "left the swarm");
  return undefined;
}

/** What a crash left of a swarm that was not joined to the end. A seat among the managers is given back. */
export async function sweepUp(
  state: MembershipState,
  { manager, log, clock, timing }: MembershipDeps,
): Promise<void> {
  if (manager.hasState()) {
    try {
      await manager.start();
      const endMs = clock.monotonicMs() + timing.requestMs;
      while ((await processState(manager)) === "resuming" && clock.monotonicMs() < endMs) {
        await clock.sleep(timing.retryMinMs, AbortSignal.timeout(2 * timing.requestMs));
      }
      const answer = await manager.leave(true);
      if (isRefusal(answer)) throw new Fault("REFUSED", {}, new Error(answer.message));
    } catch (error) {
      log.warn({ err: messageOf(error) }, "a seat from before a crash could not be given back");
    }
  }
  await state.sweep();
}

/** Undefined when the manager process does not say. */
export async function statusOfManager(manager: ManagerHost): Promise<AdminStatus | undefined> {
  if (!manager.started) return undefined;
  const status = await manager.status().catch(() => undefined);
  return isRefusal(status) ? undefined : status;
}

/** Why a manager does not leave without being told that it is meant; what the others would come to, counted. */
async function needsForce(member: Member, { manager, log }: MembershipDeps): Promise<Refusal> {
  const status = await statusOfManager(manager);
  if (status?.state !== "running") {
    return words.leaveFailed(status?.message || "its process does not answer.");
  }
  const { nodeId } = member.record;
  const others = status.members.filter((each) => !each.learner && each.nodeId !== nodeId);
  log.debug({ node: nodeId, others: others.length }, "leave needs --force");
  if (others.length === 0) return words.leaveNeedsForce({ left: 0, reachable: 0 });
  const unheard = await manager.unheardManagers().catch(() => undefined);
  if (unheard === undefined || isRefusal(unheard)) {
    return words.leaveWithoutLeader(others.length + 1);
  }
  const reachable = others.filter((each) => !unheard.includes(each.nodeId)).length;
  return words.leaveNeedsForce({ left: others.length, reachable });
}

/** Whatever of it can be said in time: a node may always leave, also when nobody hears it. */
async function sayGoodbye(
  member: Member,
  isManager: boolean,
  { timing, manager, log, clock }: MembershipDeps,
): Promise<void> {
  const managers = isManager ? (await statusOfManager(manager))?.members.length : undefined;
  const wasOpen = member.session.kind === "open";
  await member.quiesce();
  // The last manager takes the swarm with it: nobody is left to tell.
  if (managers === 1) return;
  const goodbye = async () => {
    const own = member.held.current.endpoints.filter((e) => e.nodeId === member.record.nodeId);
    for (const endpoint of own) await member.link.detach(endpoint.id);
    await member.link.leave();
  };
  const late = clock.sleep(timing.dialMs, AbortSignal.timeout(2 * timing.dialMs));
  if (wasOpen) {
    await Promise.race([goodbye(), late]).catch((error: unknown) => {
      log.info({ err: messageOf(error) }, "left without saying so");
    });
  }
  if (!isManager || !manager.started) return;
  const answer = await manager.leave(true).catch((error: unknown) => error);
  if (isRefusal(answer) || answer instanceof Error) {
    log.warn({ err: messageOf(answer) }, "left without leaving the Raft group");
  }
}
