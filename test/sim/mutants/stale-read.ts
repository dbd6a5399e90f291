// Whichever manager is asked lists the networks that it has itself, and waits for no read barrier.
import { networksShown } from "../../../manager/control/network-lookup.js";
import type { Mutant } from "./mutant.js";

export const staleRead: Mutant = {
  name: "stale-read",
  found: /the history is not linearizable/,
  seeds: 60,
  member: ({ services: { control }, store }) => {
    const listNetworks = async () => ({ networks: networksShown(store.view) });
    Object.assign(control, { listNetworks });
  },
};
