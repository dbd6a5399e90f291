// Whether a machine's own IPsec is to protect what it exchanges with a peer.
import { contains, type Ip, type Prefix } from "../../common/address.js";

export interface IpsecPolicy {
  readonly direction: "in" | "out" | "forward";
  readonly source: Prefix;
  readonly destination: Prefix;
  /** 0: any. */
  readonly protocol: number;
}

const UDP = 17;

/** Ports are not looked at: sooner the slower way than in clear. */
export function isUnderIpsec(policies: readonly IpsecPolicy[], own: Ip, peer: Ip): boolean {
  return policies.some(({ direction, source, destination, protocol }) => {
    if (direction === "forward" || (protocol !== 0 && protocol !== UDP)) return false;
    const [from, to] = direction === "out" ? [own, peer] : [peer, own];
    return contains(source, from) && contains(destination, to);
  });
}
