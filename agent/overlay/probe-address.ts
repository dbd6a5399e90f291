// Who answers a probe on the data path. Beside the networks that people make, the nodes have one of their own: a VNI
// that no network can have, on which each node's bridge is the only end. Its address there is the node's VTEP, its MAC
// is derived from it: every peer knows both without being told. So an echo request between two of them is a real frame
// on the data path port, goes through whatever carries the networks' frames, and is answered by the kernel; and no
// container can hear it, or be heard. docs/peers.md says what is read from it.
//
// Whoever checks the sources of frames: on VNI `WATCH_VNI` (common/ids.ts) a node sends what has `probeMac` and
// `probeIp` of its own VTEP; the rows of agent/reconcile/watch-want.ts say so of each peer, as of any remote endpoint.
import { createHash } from "node:crypto";
import { type Ip, ipToBytes } from "../../common/address.js";
import { type Mac, parseMac } from "../../common/ids.js";

// Locally administered. 0x50: "P".
export const PROBE_MAC_PREFIX = Uint8Array.of(0x02, 0x50);

/** The MAC of the bridge on the nodes' own network, of the node that has this VTEP. */
export function probeMac(vtep: Ip): Mac {
  const bytes = [...PROBE_MAC_PREFIX, ...nameOf(vtep)];
  const text = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return parseMac(text) as Mac;
}

/** Its address there. */
export function probeIp(vtep: Ip): Ip {
  return vtep;
}

/** Four bytes. An IPv4 address is its own name; of IPv6 ones the last bytes are often the same (…::1). */
function nameOf(vtep: Ip): Uint8Array {
  const bytes = ipToBytes(vtep);
  return vtep.family === 4 ? bytes : createHash("sha256").update(bytes).digest().subarray(0, 4);
}
