// A node whose key is sealed, and its manager process with it: how the two are opened (docs/autolock.md).
import type { Clock } from "../../common/clock.js";
import { Fault, faultFields, isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { parseUnlockKey, sameKey } from "../../common/unlock-key.js";
import { sentenceOf } from "../member/fault-sentence.js";
import * as words from "../member/words.js";
import type { IdentityDisk, ManagerHost, NodeIdentity } from "../seams.js";
import { processState } from "./manager-process.js";
import type { Member } from "./member.js";
import type { MembershipState } from "./membership-state.js";

interface Tools {
  readonly manager: ManagerHost;
  readonly identityDisk: IdentityDisk;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
}

/**
 * The node's identity by what its manager process knows, which may have outlived the agent, or may not be sealed
 * any more. With `unlockKey` only if that is the key of its disk now: a crash may have left the two sealed with two.
 */
export async function openedByManager(
  { manager, identityDisk, timing, log }: Tools,
  unlockKey?: Uint8Array,
): Promise<NodeIdentity | undefined> {
  try {
    await manager.start();
    const keys = await manager.keys(undefined, AbortSignal.timeout(timing.requestMs));
    if (isRefusal(keys)) return undefined;
    if (unlockKey !== undefined && !sameKey(unlockKey, keys.unlockKey)) return undefined;
    const opened = await identityDisk.unseal(keys.unlockKey);
    return opened ?? (await identityDisk.replaceKey(keys.privateKey, keys.unlockKey));
  } catch (error) {
    log.warn(faultFields(error), "the manager process could not open this node's key");
    return undefined;
  }
}

/** `text`: the unlock key as a person has it. Resolves when the node's manager answers again, or after a while. */
export async function unlockNode(
  text: string,
  member: Member,
  state: MembershipState,
  tools: Tools,
): Promise<Refusal | undefined> {
  const unlockKey = parseUnlockKey(text);
  if (isRefusal(unlockKey)) return unlockKey;
  try {
    const refusal = await unlockManager(tools, unlockKey);
    if (refusal !== undefined) return refusal;
    if (state.sealed) {
      const identity =
        (await tools.identityDisk.unseal(unlockKey)) ?? (await openedByManager(tools, unlockKey));
      if (identity === undefined) return words.wrongUnlockKey();
      state.unseal(member, identity);
    }
    await managerUp(tools, () => !state.locked);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return refuse("unavailable", `swarm component could not be started: ${sentenceOf(error)}`);
  }
  tools.log.info({ node: member.record.nodeId }, "unlocked");
  return undefined;
}

/** A refusal: it is another key, and nothing has changed. */
async function unlockManager(
  { manager }: Tools,
  unlockKey: Uint8Array,
): Promise<Refusal | undefined> {
  await manager.start();
  if ((await processState(manager)) !== "locked") return undefined;
  const answer = await manager.unlock(unlockKey);
  return isRefusal(answer) ? answer : undefined;
}

/** When the process has taken up its seat, or has said that it cannot; after one request's time at the latest. */
async function managerUp({ manager, clock, timing }: Tools, isOpen: () => boolean): Promise<void> {
  const endMs = clock.monotonicMs() + timing.requestMs;
  while (clock.monotonicMs() < endMs) {
    if (isOpen() && (await processState(manager)) !== "resuming") return;
    await clock.sleep(timing.retryMinMs / 2, AbortSignal.timeout(2 * timing.requestMs));
  }
}
