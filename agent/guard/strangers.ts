// Who sent what the underlay's table counted: sources that are no node of the frame's network, noted by the rules
// themselves in sets that the kernel bounds and empties. docs/guard.md.
import { type Family, formatIp, ipFromBytes } from "../../common/address.js";
import { DROPS } from "./drops.js";

export interface Stranger {
  readonly reason: StrangerReason;
  /** The outer source address. */
  readonly address: string;
  readonly vni: number;
  /** Since it is noted: ten minutes after its last frame it is not any more. */
  readonly frames: number;
}

export type StrangerReason = typeof DROPS.notAPeer | typeof DROPS.unknownVni;

const REASONS = [DROPS.notAPeer, DROPS.unknownVni] as const;
const PREFIXES = { [DROPS.notAPeer]: "strangers", [DROPS.unknownVni]: "elsewhere" } as const;
const FAMILIES = [4, 6] as const;
const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;

/** The set that sources of this kind are noted in. */
export function strangersSet(reason: StrangerReason, family: Family): string {
  return `${PREFIXES[reason]}${family}`;
}

/** All of them, and what each is about. */
export const STRANGERS_SETS = REASONS.flatMap((reason) =>
  FAMILIES.map((family) => ({ reason, family, set: strangersSet(reason, family) })),
);

/** `key`: address . VNI, the VNI in three bytes of four; undefined: it is no such key. */
export function strangerOf(
  { reason, family }: { readonly reason: StrangerReason; readonly family: Family },
  key: Uint8Array,
  frames: number,
): Stranger | undefined {
  const bytes = ADDRESS_BYTES[family];
  const ip = ipFromBytes(key.subarray(0, bytes));
  if (key.length < bytes + 3 || ip === undefined) return undefined;
  const [high = 0, middle = 0, low = 0] = key.subarray(bytes);
  return { reason, address: formatIp(ip), vni: (high << 16) | (middle << 8) | low, frames };
}

/** A frame that the packet filter notes and lets through is noted by the switch again. */
export function eachOnce(strangers: readonly Stranger[]): readonly Stranger[] {
  const most = new Map<string, Stranger>();
  for (const each of strangers) {
    const key = `${each.reason} ${each.address} ${each.vni}`;
    if ((most.get(key)?.frames ?? 0) < each.frames) most.set(key, each);
  }
  return [...most.values()];
}
