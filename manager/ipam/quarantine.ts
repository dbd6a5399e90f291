// What was freed rests: a node that is behind may still send to the old holder, so the next holder should
// not come at once. Time would be the natural measure, but decisions here know no clock; so it is counted
// in further frees. The order of rest is a function of the objects alone, the same on every manager.
import type { Quarantine } from "../../proto/gen/types.js";
import { metaOf } from "../store/objects.js";
import type { Draft, StoreView } from "../store/view.js";

/**
 * Choice: an address or VNI is given again when this many others (of the same network) have been freed
 * after it; addresses also when nothing else is left. Each costs about 100 bytes of replicated state.
 */
export const RESTING_MAX = 64;

export function restAddress(draft: Draft, networkId: string, address: string, nowMs: number): void {
  const id = addressKey(networkId, address);
  const meta = undefined;
  draft.create("quarantine", { id, meta, networkId, address, vni: 0, freedAtMs: nowMs });
  releaseExcess(draft, networkId);
}

export function restVni(draft: Draft, vni: number, nowMs: number): void {
  const id = vniKey(vni);
  const meta = undefined;
  draft.create("quarantine", { id, meta, networkId: "", address: "", vni, freedAtMs: nowMs });
  releaseExcess(draft, "");
}

/** Ends the rest of one address, if it rests. */
export function releaseAddress(draft: Draft, networkId: string, address: string): void {
  const id = addressKey(networkId, address);
  if (draft.quarantined(id) !== undefined) draft.remove("quarantine", id);
}

export function releaseVni(draft: Draft, vni: number): void {
  if (draft.quarantined(vniKey(vni)) !== undefined) draft.remove("quarantine", vniKey(vni));
}

/** What has rested longest, of those that `fits`. */
export function longestResting(
  view: StoreView,
  networkId: string,
  fits: (quarantine: Quarantine) => boolean = () => true,
): Quarantine | undefined {
  let oldest: Quarantine | undefined;
  for (const quarantine of view.resting(networkId)) {
    if (!fits(quarantine)) continue;
    if (oldest === undefined || isOlder(quarantine, oldest)) oldest = quarantine;
  }
  return oldest;
}

function releaseExcess(draft: Draft, networkId: string): void {
  if (draft.restingCount(networkId) <= RESTING_MAX) return;
  const oldest = longestResting(draft, networkId);
  if (oldest !== undefined) draft.remove("quarantine", oldest.id);
}

// Version 0 is the entry being made: younger than all. Within one entry the id decides.
function isOlder(a: Quarantine, b: Quarantine): boolean {
  const age = (quarantine: Quarantine) => metaOf(quarantine).createdVersion || Infinity;
  return age(a) < age(b) || (age(a) === age(b) && a.id < b.id);
}

function addressKey(networkId: string, address: string): string {
  return `${networkId}/${address}`;
}

function vniKey(vni: number): string {
  return `vni/${vni}`;
}
