// All subnets in use, in order of address. They never overlap, so the only one that can overlap a given
// prefix from below is the one that starts last before it.
import { type Family, overlaps, type Prefix } from "../../common/address.js";
import type { SubnetUse } from "./view.js";

export class SubnetIndex {
  readonly #byFamily: Readonly<Record<Family, SubnetUse[]>> = { 4: [], 6: [] };

  add(use: SubnetUse): void {
    const list = this.#byFamily[use.prefix.ip.family];
    list.splice(lowerBound(list, use.prefix.ip.value), 0, use);
  }

  remove(prefix: Prefix): void {
    const list = this.#byFamily[prefix.ip.family];
    const at = lowerBound(list, prefix.ip.value);
    if (list[at]?.prefix.ip.value === prefix.ip.value) list.splice(at, 1);
  }

  /** The lowest one that shares an address with `prefix`. */
  overlapping(prefix: Prefix): SubnetUse | undefined {
    const list = this.#byFamily[prefix.ip.family];
    const at = lowerBound(list, prefix.ip.value);
    return [list[at - 1], list[at]].find((use) => use && overlaps(use.prefix, prefix));
  }
}

/** The first position whose subnet starts at `value` or after. */
function lowerBound(list: readonly SubnetUse[], value: bigint): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const start = list[middle]?.prefix.ip.value ?? 0n;
    if (start < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
