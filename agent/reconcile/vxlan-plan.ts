// A network's way to the other nodes by VXLAN devices: the one that sends, and while the data path port is being changed
// one that takes frames on the other port.
import { formatIp } from "../../common/address.js";
import { isPortOf, LISTENER_PORT, VXLAN_PORT } from "./bridge-port.js";
import type { LinkHave, NetworkHave } from "./have.js";
import { ASIDE, LISTENER, VXLAN } from "./names.js";
import type { NetworkSize } from "./path-want.js";
import type { Step } from "./step.js";
import type { NetworkWant } from "./want.js";

export interface OutletPlan {
  /** What is in the way of all networks, and goes first. */
  readonly before: readonly Step[];
  readonly make: readonly Step[];
  /** After the rows. */
  readonly listen: readonly Step[];
  readonly after: readonly Step[];
  /** What will be there of the tables once that is done, if the bridge stands. */
  readonly standing: NetworkHave;
}

export function planVxlan(
  found: NetworkHave,
  want: NetworkWant,
  bridge: LinkHave | undefined,
  { mtuBytes, df }: NetworkSize,
): OutletPlan {
  const { networkId, vni, vtep: local } = want;
  const encrypted = want.encrypted ? { encrypted: true } : {};
  const make: Step[] = [];
  const listen: Step[] = [];
  const after: Step[] = [];
  const { swaps, vxlan, listener } = vxlansOf(found, want);
  if (swaps) make.push({ kind: "swap-vxlan", networkId, vni });
  const vxlanFits = vxlan !== undefined && fits(vxlan, want, want.port);
  if (vxlan !== undefined && !vxlanFits) make.push({ kind: "remove-vxlan", vni });
  if (
    !vxlanFits ||
    !isPortOf(vxlan, bridge, mtuBytes, VXLAN_PORT) ||
    (vxlan.vxlan?.df ?? df) !== df
  ) {
    const place = { networkId, vni, local, port: want.port, ...encrypted };
    make.push({ kind: "make-vxlan", ...place, mtuBytes, df, fresh: !vxlanFits });
  }
  if (want.also !== undefined) {
    const { also: port } = want;
    const stays = listener !== undefined && fits(listener, want, port);
    if (listener !== undefined && !stays) listen.push({ kind: "remove-listener", networkId, vni });
    const isNamed = listener?.name === LISTENER || swaps;
    if (!stays || !isNamed || !isPortOf(listener, bridge, mtuBytes, LISTENER_PORT)) {
      const place = { networkId, vni, local, port, ...encrypted };
      listen.push({ kind: "make-listener", ...place, mtuBytes, df, fresh: !stays });
    }
  } else if (listener !== undefined) {
    after.push({ kind: "remove-listener", networkId, vni });
  }
  const standing = vxlanFits && !swaps ? found : withoutRows(found);
  return { before: [], make, listen, after, standing };
}

/** A remade device starts empty. */
export function withoutRows(found: NetworkHave): NetworkHave {
  const others = [...found.bridgeFdb].filter(([, port]) => port !== VXLAN);
  return { ...found, fdb: new Map(), flood: new Set(), bridgeFdb: new Map(others) };
}

function fits({ vxlan }: LinkHave, want: NetworkWant, wantedPort: number): boolean {
  if (vxlan === undefined) return false;
  const { vni, port, local, learning } = vxlan;
  return vni === want.vni && port === wantedPort && local === formatIp(want.vtep) && !learning;
}

/** The two VXLAN devices as they will be called: the one that has the wanted port is to be the one that sends. */
function vxlansOf(found: NetworkHave, want: NetworkWant) {
  const vxlan = found.links.get(VXLAN);
  const listener = found.links.get(LISTENER) ?? found.links.get(ASIDE);
  const isSender = vxlan !== undefined && fits(vxlan, want, want.port);
  const swaps = !isSender && listener?.name === LISTENER && fits(listener, want, want.port);
  if (!swaps) return { swaps, vxlan, listener };
  return { swaps, vxlan: listener, listener: vxlan ?? found.links.get(ASIDE) };
}
