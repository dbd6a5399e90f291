// What test exchanges have shown, for a person.
import type { Offload } from "../overlay/offload-test.js";
import type { WatchedPeer } from "../reconcile/watch-want.js";
import type { Finding } from "../seams.js";

const WRONG: Readonly<Record<Offload, string>> = {
  checksum: "puts wrong checksums into packets inside the tunnel",
  segmentation: "damages large segments inside the tunnel that it is left to cut",
};
const LOST: Readonly<Record<Offload, string>> = {
  checksum: "TCP and UDP",
  segmentation: "streams of TCP",
};

/** `peer`: empty, an earlier agent found it out. */
export function repairedFinding(offload: Offload, hostname: string, peer: string): Finding {
  return {
    subject: `offload ${offload}`,
    what:
      `The network interface of ${hostname} ${WRONG[offload]}: ${LOST[offload]} ` +
      `${peer === "" ? "" : `to ${peer} `}got lost while pings passed. This machine's processor does that work now, on ` +
      "Skein's VXLAN devices alone; it costs throughput. Frames that went past those devices (the accelerated path) go by them.",
    where: peer === "" ? hostname : `${hostname} → ${peer}`,
    remedy: "Update the interface's driver or firmware, then restart the machine.",
  };
}

export function unmendedFinding(
  offload: Offload,
  hostname: string,
  { nodeId, hostname: peer }: WatchedPeer,
): Finding {
  return {
    subject: `peer ${nodeId} offload`,
    what:
      `${LOST[offload]} between ${hostname} and ${peer} get lost on the data path while pings pass: an interface or ` +
      "something between them damages packets inside the tunnel. Nothing that can be turned off here helps.",
    where: `${hostname} ↔ ${peer}`,
    remedy:
      `Look at 'skein doctor' for ${peer} too. Try the interface's tunnel offloads on both machines: ` +
      "ethtool -K DEVICE tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off tx off.",
  };
}
