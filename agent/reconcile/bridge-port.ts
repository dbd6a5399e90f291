// How ports of a network's bridge are set: where frames may leave it.
import type { LinkHave, PortHave } from "./have.js";

/** Frames leave the VXLAN device only for MACs that are known, and what is known is never learned. */
export const VXLAN_PORT: PortHave = {
  learning: false,
  unicastFlood: false,
  neighSuppress: true,
  flood: true,
  // Who has asked for a group on other nodes is for these to know.
  allGroups: true,
};
/** Multicast goes where somebody has asked for it. */
export const BRIDGE_GROUPS = { snooping: true, querier: true } as const;
// RFC 8200 section 5: a smaller link has no IPv6, and no groups of it.
const IPV6_MTU_MIN_BYTES = 1280;
export function mayAskGroups(mtuBytes: number): boolean {
  return mtuBytes >= IPV6_MTU_MIN_BYTES;
}
/** What comes in by it is like what comes by the VXLAN device; nothing leaves. */
export const LISTENER_PORT: PortHave = { ...VXLAN_PORT, flood: false, allGroups: false };
export const ENDPOINT_PORT: PortHave = {
  learning: false,
  unicastFlood: false,
  neighSuppress: false,
  isolated: false,
  hairpin: false,
};

export function isPortOf(
  link: LinkHave,
  bridge: LinkHave | undefined,
  mtuBytes: number,
  port: PortHave,
): boolean {
  return (
    bridge !== undefined &&
    link.master === bridge.ifindex &&
    link.up &&
    link.mtuBytes === mtuBytes &&
    (link.port?.flood ?? true) === (port.flood ?? true) &&
    (link.port?.allGroups ?? false) === (port.allGroups ?? false) &&
    (link.port?.isolated ?? false) === (port.isolated ?? false) &&
    (link.port?.hairpin ?? false) === (port.hairpin ?? false) &&
    link.port?.learning === port.learning &&
    link.port.unicastFlood === port.unicastFlood &&
    link.port.neighSuppress === port.neighSuppress
  );
}
