// A network's way to the other nodes by the userspace data path: a TAP device in the VXLAN device's place, and the
// switch that has its other end. The device outlives the agent, the switch does not: after a restart it is given the
// device again.
import { formatIp } from "../../common/address.js";
import { isPortOf, VXLAN_PORT } from "./bridge-port.js";
import type { LinkHave, NetworkHave, SwitchedHave } from "./have.js";
import { LISTENER, VXLAN } from "./names.js";
import type { Step } from "./step.js";
import { type OutletPlan, withoutRows } from "./vxlan-plan.js";
import type { NetworkWant } from "./want.js";

/** IFLA_INFO_KIND of a TAP device. */
export const TAP_KIND = "tun";

export function planTap(
  found: NetworkHave,
  want: NetworkWant,
  bridge: LinkHave | undefined,
  mtuBytes: number,
): OutletPlan {
  const { networkId, vni, vtep: local, port, also } = want;
  const before: Step[] = [];
  const device = found.links.get(VXLAN);
  const isTap = device?.kind === TAP_KIND;
  // They hold the UDP port, of which the switch has one socket for all networks.
  if (device !== undefined && !isTap) before.push({ kind: "remove-vxlan", vni });
  if (found.links.has(LISTENER)) before.push({ kind: "remove-listener", networkId, vni });
  const switched = isTap ? found.switched : undefined;
  const make: Step[] = [];
  if (!isTap || !isSwitched(switched, want) || !isPortOf(device, bridge, mtuBytes, VXLAN_PORT)) {
    const ports = { port, ...(also !== undefined && { also }) };
    make.push({ kind: "make-tap", networkId, vni, local, ...ports, mtuBytes, fresh: !isTap });
  }
  const rows = switched ?? NOTHING;
  const { fdb, flood } = rows;
  const standing = { ...(isTap ? found : withoutRows(found)), fdb, flood, switched: rows };
  return { before, make, listen: [], after: [], standing };
}

const NOTHING: SwitchedHave = {
  local: "",
  port: 0,
  also: undefined,
  fdb: new Map(),
  flood: new Set(),
  locals: new Set(),
};

function isSwitched(switched: SwitchedHave | undefined, want: NetworkWant): boolean {
  return (
    switched !== undefined &&
    switched.local === formatIp(want.vtep) &&
    switched.port === want.port &&
    switched.also === want.also
  );
}
