// What of other programs keeps our bridges from working. No rule of ours can let through what another's table drops; a
// person can, who must be told.
import type { LocalHave } from "./have.js";
import type { BridgeWant } from "./local-want.js";

export const FOREIGN_DROPS =
  "another program's packet filter drops what is forwarded unless told otherwise: let the bridges through there, or containers reach only this machine";

/** Chains that drop what these bridges forward, and the bridges, as lists in words. No bridge forwards: undefined. */
export function foreignDrops(
  all: readonly BridgeWant[],
  have: Pick<LocalHave, "forwardDrops"> | undefined,
): { readonly chains: string; readonly devices: string } | undefined {
  const bridges = all.filter(({ internal }) => !internal);
  if (bridges.length === 0) return undefined;
  const hasIpv6 = bridges.some(({ addresses }) => addresses.some(({ ip }) => ip.family === 6));
  const drops = have?.forwardDrops ?? [];
  return {
    chains: drops.filter((chain) => hasIpv6 || !chain.startsWith("ip6 ")).join(", "),
    devices: bridges.map(({ device }) => device).join(", "),
  };
}
