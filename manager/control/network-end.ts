// The end of a network: at once, or with the last endpoint of tasks that are just leaving it.
import type { Network } from "../../proto/gen/types.js";
import { restVni } from "../ipam/quarantine.js";
import type { Draft } from "../store/view.js";
import { dropPoliciesOf } from "./policy.js";

/** It, and what rests on it, go; its VNI rests. Nothing is on it any more. */
export function endNetwork(draft: Draft, network: Network, nowMs: number): void {
  for (const quarantine of [...draft.resting(network.id)])
    draft.remove("quarantine", quarantine.id);
  dropPoliciesOf(draft, "network", network.id);
  draft.remove("network", network.id);
  restVni(draft, network.vni, nowMs);
}

/** Whether that was the last endpoint of a network that waited for it. */
export function endIfLeft(draft: Draft, networkId: string, nowMs: number): boolean {
  const network = draft.network(networkId);
  if (network?.leaving !== true) return false;
  for (const _ of draft.endpointsOn(networkId)) return false;
  endNetwork(draft, network, nowMs);
  return true;
}
