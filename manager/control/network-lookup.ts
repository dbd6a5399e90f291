// Which network a person means.
import { type Refusal, refuse } from "../../common/fault.js";
import type { Network } from "../../proto/gen/types.js";
import type { StoreView } from "../store/view.js";

/** Those that a person can name. */
export function networksShown(view: StoreView): Network[] {
  return [...view.networks()].filter(({ leaving }) => !leaving);
}

// Docker's clients accept an id cut to what is unambiguous; fewer than three are taken for a
// name that is not there.
const ID_PREFIX_MIN = 3;

/** By id, name or unambiguous beginning of an id, in this order. One that is leaving is not there any more. */
export function findNetwork(view: StoreView, nameOrId: string): Network | Refusal {
  const byId = view.network(nameOrId);
  const exact = byId && !byId.leaving ? byId : view.networkByName(nameOrId);
  if (exact !== undefined) return exact;
  const found =
    nameOrId.length < ID_PREFIX_MIN
      ? []
      : networksShown(view).filter((network) => network.id.startsWith(nameOrId));
  const [network] = found;
  if (network === undefined) return refuse("not-found", `network ${nameOrId} not found`);
  if (found.length === 1) return network;
  const sentence = `network ${nameOrId} is ambiguous (${found.length} matches found based on ID prefix)`;
  return refuse("invalid-argument", sentence);
}
