// What has to be looked after because nobody tells of it: what the swarm took away, what somebody removed and made
// again, and what a crash left behind.
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { Signal } from "../../common/watch.js";
import type { MembershipLoop } from "./membership.js";
import type { Places } from "./places.js";
import type { Resolver } from "./resolver.js";
import type { Tenants } from "./tenants.js";

interface Tools {
  readonly clock: Clock;
  readonly timing: Pick<Timing, "resyncMs">;
  readonly log: Logger;
}

/** What the swarm took away (a network removed by force) is trouble for whoever had it. */
export async function tellTenants(
  membership: MembershipLoop,
  tenants: Tenants,
  told: Signal,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await told.wait(signal).catch(() => {});
    const member = membership.member;
    // Before the swarm has spoken, what is held may be a journal that a crash left behind.
    if (member === undefined || !member.everOpen || signal.aborted) continue;
    const { revision, endpoints } = member.held.current;
    const own = endpoints.filter((endpoint) => endpoint.nodeId === member.record.nodeId);
    await tenants.told(revision, new Set(own.map((endpoint) => endpoint.id)));
  }
}

/** A namespace that was taken away and came back has no sockets, and says so to nobody. */
export async function lookAtNames(
  names: Resolver,
  { clock, timing }: Tools,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(timing.resyncMs, signal).catch(() => {});
    if (!signal.aborted) names.look();
  }
}

/** Gives back what the swarm believes to be here and is not: a crash came between two steps. */
export async function returnOrphans(
  membership: MembershipLoop,
  places: Places,
  { clock, timing, log }: Tools,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(timing.resyncMs, signal).catch(() => {});
    const member = membership.member;
    if (member?.session.kind !== "open" || signal.aborted) continue;
    for (const id of places.orphans()) {
      const answer = await places.detach(id).catch((error: unknown) => error);
      const failed = isRefusal(answer) || answer instanceof Error;
      log.info({ endpoint: id, err: failed ? messageOf(answer) : undefined }, "orphan detached");
    }
  }
}
