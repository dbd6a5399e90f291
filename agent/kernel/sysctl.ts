// Settings under /proc/sys/net. They are those of the network namespace that the writing thread is in,
// so all of this runs inside a window of `within`.
import { writeFileSync } from "node:fs";

/** `key` as in sysctl(8) with slashes. A setting that this kernel lacks, or shows read-only, is left alone. */
export function writeSysctl(key: string, value: string | number): void {
  try {
    writeFileSync(`/proc/sys/net/${key}`, String(value));
  } catch {
    // Each of these makes things quieter or faster; none is needed for frames to flow.
  }
}

/** A network's own namespace only switches frames: no addresses of its own, no filter of the machine's. */
export function quietNetwork(): void {
  // in6_addr_gen_mode: IN6_ADDR_GEN_MODE_NONE.
  writeSysctl("ipv6/conf/default/addr_gen_mode", 1);
  writeSysctl("ipv6/conf/default/accept_ra", 0);
  writeSysctl("ipv6/conf/default/disable_ipv6", 1);
  writeSysctl("ipv4/ip_forward", 0);
  for (const table of ["iptables", "ip6tables", "arptables"]) {
    writeSysctl(`bridge/bridge-nf-call-${table}`, 0);
  }
}

/** The kernel keeps IPv6 neighbours, from which the bridge answers, only on a device that has IPv6. */
export function allowNeighbours(bridge: string): void {
  writeSysctl(`ipv6/conf/${bridge}/addr_gen_mode`, 1);
  writeSysctl(`ipv6/conf/${bridge}/disable_ipv6`, 0);
}

/** As Docker gives its containers: ping and low ports without privileges. */
export function openSandbox(): void {
  writeSysctl("ipv4/ping_group_range", "0 2147483647");
  writeSysctl("ipv4/ip_unprivileged_port_start", 0);
}

/** Before the interface gets an address. Without an IPv6 address of ours it is to say nothing in IPv6 at all. */
export function quietInterface(name: string, hasIpv6: boolean): void {
  // The swarm gives an address once and routes nothing by advertisement.
  for (const key of ["accept_dad", "accept_ra", "autoconf"])
    writeSysctl(`ipv6/conf/${name}/${key}`, 0);
  writeSysctl(`ipv6/conf/${name}/disable_ipv6`, hasIpv6 ? 0 : 1);
}
