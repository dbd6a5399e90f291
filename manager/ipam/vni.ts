// Which VNI a new network gets: 4096 upwards, as Docker; ingress is usually the first.

import { type Refusal, refuse } from "../../common/fault.js";
import { WATCH_VNI } from "../../common/ids.js";
import type { Draft } from "../store/view.js";
import { releaseVni } from "./quarantine.js";

// libnetwork's first VNI for networks that swarm makes; below are those of older tools.
const FIRST_VNI = 4096;

/** The first of those asked for, if all are free, else the lowest that is free and has rested. */
export function takeVni(
  draft: Draft,
  wanted: readonly number[],
  isIngress: boolean,
): number | Refusal {
  for (const vni of wanted) {
    if (vni === WATCH_VNI) {
      return refuse("invalid-argument", `VNI ${vni} is what the nodes watch each other by`);
    }
    const holder = draft.networkByVni(vni);
    if (holder !== undefined) {
      return refuse("already-exists", `VNI ${vni} is in use by network ${holder.spec?.name}`);
    }
  }
  const [first] = wanted;
  if (first !== undefined) {
    // A person may insist on one that rests.
    releaseVni(draft, first);
    return first;
  }
  const vni = draft.lowestFreeVni(isIngress ? FIRST_VNI : FIRST_VNI + 1);
  return vni ?? refuse("resource-exhausted", "no VNI is left");
}
