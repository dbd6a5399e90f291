// A manager's seat ends: it leaves the group, or finds that the group has removed it. Nothing that its disk holds is
// worth anything then, and the disk is erased; not before the group has let go, unless a person insists.
import { isRefusal, messageOf, type Refusal, refuse } from "../common/fault.js";
import type { AdminLeaveRequest, AdminStatus } from "../proto/gen/admin.js";
import { itself } from "./loops/itself.js";
import { stillSeated } from "./loops/seat-doubt.js";
import type { Running, SeatTools } from "./manager-state.js";

// Docker's words.
const LAST_MANAGER =
  "You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message.";

export async function leaveManagers(
  { force }: AdminLeaveRequest,
  tools: SeatTools,
): Promise<AdminStatus | Refusal> {
  const { state, disk, log } = tools;
  const { now } = state;
  if (now.kind === "running") {
    const refusal = await leaveGroup(now, force, tools);
    if (refusal) return refusal;
    await now.seat.close();
  } else if ("message" in now && !force) {
    // What cannot be read now may be all there is of the swarm.
    const advice = "Use `--force` to leave it all the same, and lose what it holds.";
    return refuse("failed-precondition", `The manager does not run: ${now.message} ${advice}`);
  }
  await disk.erase();
  state.become({ kind: "removed" });
  log.info({ force }, "left the managers");
  return state.status();
}

/** With `force`, as well as it can. */
async function leaveGroup(
  { member, seat }: Running,
  force: boolean,
  { stopped, log }: SeatTools,
): Promise<Refusal | undefined> {
  const { nodeId } = seat.identity;
  const others = member.consensus.status().members.filter((each) => each.nodeId !== nodeId);
  if (others.length === 0) return force ? undefined : refuse("failed-precondition", LAST_MANAGER);
  try {
    const request = { nodeId, seatOnly: false, force };
    const left = await member.services.membership.leave(request, itself(stopped));
    return isRefusal(left) && !force ? left : undefined;
  } catch (error) {
    if (!force) throw error;
    log.warn({ err: messageOf(error) }, "left without telling the others");
    return undefined;
  }
}

/** For an agent that hears of another seat than the one that is held here, or of none. `addrs`: the managers of now. */
export async function confirmSeat(
  addrs: readonly string[],
  tools: SeatTools,
): Promise<AdminStatus | Refusal> {
  const { state, stopped: signal } = tools;
  const running = state.running();
  if (isRefusal(running)) return running;
  const { seat, member } = running;
  const { raftId } = seat.identity;
  const link = (addr: string) => seat.link(addr);
  const generation = member.store.view.cluster()?.generation ?? 0;
  const seated = await stillSeated({ raftId, generation, addrs, link, signal });
  if (seated === false) await giveUpRemoved(tools);
  return state.status();
}

/** The group has removed this manager. */
export async function giveUpRemoved({ state, disk, log }: SeatTools): Promise<void> {
  const { now } = state;
  if (now.kind !== "running") return;
  log.warn({}, "removed from the managers");
  state.become({ kind: "removed" });
  await now.seat.close();
  await disk.erase();
}
