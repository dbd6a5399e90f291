// What is said beside the data path in use, by `skein doctor` and, as far as it lasts, by `skein node inspect`: facts that a
// person may ask about, and nothing that is wrong.
import { parseIp } from "../../common/address.js";
import type { HostFacts } from "../seams.js";

type DataPathFacts = HostFacts["dataPath"];

const RECEIVES_ONLY =
  "This node's underlay is IPv6: the programs receive over it, and what is sent takes the kernel path.";

const PAST_THE_DEVICES =
  "The accelerated data path is not in use: a network interface here does wrong what its frames would leave to it.";

/** `isMending`: VXLAN devices here do what the interface would do wrong, so that frames must go by them. */
export function inUse(dataPath: DataPathFacts, isMending: boolean): DataPathFacts {
  if (!isMending || dataPath.path !== "accelerated") return dataPath;
  return { ...dataPath, path: "kernel", why: [...dataPath.why, PAST_THE_DEVICES] };
}

/** `vtep`: this node's data path address; undefined: it is in no swarm. `others`: what else is known, as sentences. */
export function noted(
  dataPath: DataPathFacts,
  vtep: string | undefined,
  others: readonly string[],
): DataPathFacts {
  const isOverIpv6 = parseIp(vtep ?? "")?.family === 6;
  const own = dataPath.path === "accelerated" && isOverIpv6 ? [RECEIVES_ONLY] : [];
  return { ...dataPath, why: [...dataPath.why, ...own, ...others] };
}
