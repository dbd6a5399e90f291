// Whether this machine's kernel has IPv6 at all. One that has it, and no address of it, is another matter: sandboxes
// are namespaces of their own.
import { existsSync } from "node:fs";
import type { Family } from "../../common/address.js";
import { sentenceFault } from "./sentence.js";

// net/ipv6/addrconf.c registers it, unless ipv6.disable=1.
const ADDRESSES = "/proc/net/if_inet6";

let known: boolean | undefined;

export function kernelHasIpv6(): boolean {
  known ??= existsSync(ADDRESSES);
  return known;
}

/** Those that may be asked about: a kernel without IPv6 refuses some questions, and leaves others unanswered. */
export function kernelFamilies(hasIpv6 = kernelHasIpv6()): readonly Family[] {
  return hasIpv6 ? [4, 6] : [4];
}

/** Before something of a network is made that has addresses of these families. */
export function mustHave(families: Iterable<Family>, hasIpv6 = kernelHasIpv6()): void {
  if (hasIpv6) return;
  for (const family of families) {
    if (family === 4) continue;
    const why =
      "This machine's kernel has no IPv6 (it was started with ipv6.disable=1, or is built without it), so a network with IPv6 addresses cannot be here.";
    throw sentenceFault("NO_IPV6", why, {});
  }
}
