// Which network a person means.
import { type Refusal, refuse } from "../../common/fault.js";
import type { Network } from "../../proto/gen/types.js";
import type { StoreView } from "../store/view.js";

// Docker's clients accept an id cut to what is unambiguous; fewer than three are taken for a
// name that is not there.
const ID_PREFIX_MIN = 3;

/** By id, name or unambiguous beginning of an id, in this order. */
export function findNetwork(view: StoreView, nameOrId: string): Network | Refusal {
  const exact = view.network(nameOrId) ?? view.networkByName(nameOrId);
  if (exact !== undefined) return exact;
  const found =
    nameOrId.length < ID_PREFIX_MIN
      ? []
      : [...view.networks()].filter((network) => network.id.startsWith(nameOrId));
  const [network] = found;
  if (network === undefined) return refuse("not-found", `network ${nameOrId} not found`);
  if (found.length === 1) return network;
  const sentence = `network ${nameOrId} is ambiguous (${found.length} matches found based on ID prefix)`;
  return refuse("invalid-argument", sentence);
}
