// Settings under /proc/sys/net. They are those of the network namespace that the writing thread is in,
// so all of this runs inside a window of `within`.
import { readFileSync, writeFileSync } from "node:fs";

/** `key` as in sysctl(8) with slashes. A setting that this kernel lacks, or shows read-only, is left alone. */
export function writeSysctl(key: string, value: string | number): void {
  try {
    writeFileSync(`/proc/sys/net/${key}`, String(value));
  } catch {
    // Each of these makes things quieter or faster; none is needed for frames to flow.
  }
}

/** Undefined: this kernel lacks it. */
export function readSysctl(key: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/${key}`, "latin1").trim();
  } catch {
    return undefined;
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

/** Where WireGuard's device is: nothing is passed on there, and nothing has an address but what gets one. */
export function quietWireguard(): void {
  quietNetwork();
  writeSysctl("ipv6/conf/all/forwarding", 0);
}

/** The device: with IPv6, for its one address, and without any that it would give itself. */
export function openWireguard(name: string): void {
  writeSysctl(`ipv6/conf/${name}/addr_gen_mode`, 1);
  for (const key of ["accept_dad", "accept_ra", "autoconf"])
    writeSysctl(`ipv6/conf/${name}/${key}`, 0);
  writeSysctl(`ipv6/conf/${name}/disable_ipv6`, 0);
}

/** Whether what `quietNetwork` and `allowNeighbours` set is so, as far as a frame would notice. */
export function isQuietNetwork(bridge: string): boolean {
  const filters = ["iptables", "ip6tables", "arptables"].map(
    (each) => `bridge/bridge-nf-call-${each}`,
  );
  const off = ["ipv4/ip_forward", `ipv6/conf/${bridge}/disable_ipv6`, ...filters];
  return off.every((key) => (readSysctl(key) ?? "0") === "0");
}

/** The kernel keeps IPv6 neighbours, from which the bridge answers, only on a device that has IPv6. */
export function allowNeighbours(bridge: string): void {
  writeSysctl(`ipv6/conf/${bridge}/addr_gen_mode`, 1);
  writeSysctl(`ipv6/conf/${bridge}/disable_ipv6`, 0);
}

/** A bridge of the machine's own. `fromLoopback`: what this machine sends from 127.0.0.1 may go that way. */
export function openBridge(
  name: string,
  { hasIpv6, fromLoopback }: { readonly hasIpv6: boolean; readonly fromLoopback: boolean },
): void {
  writeSysctl(`ipv4/conf/${name}/route_localnet`, Number(fromLoopback));
  writeSysctl(`ipv6/conf/${name}/accept_ra`, 0);
  writeSysctl(`ipv6/conf/${name}/disable_ipv6`, hasIpv6 ? 0 : 1);
}

/** As Docker gives its containers: ping and low ports without privileges. */
export function openSandbox(): void {
  writeSysctl("ipv4/ping_group_range", "0 2147483647");
  writeSysctl("ipv4/ip_unprivileged_port_start", 0);
}

/** The machine's way into the mesh: it has no address, speaks to nobody by itself, and only passes packets on. */
export function openMesh(name: string): void {
  writeSysctl(`ipv6/conf/${name}/addr_gen_mode`, 1);
  for (const key of ["accept_dad", "accept_ra", "autoconf"])
    writeSysctl(`ipv6/conf/${name}/${key}`, 0);
  writeSysctl(`ipv6/conf/${name}/disable_ipv6`, 0);
  // What this machine sends from 127.0.0.1 goes this way, and its answers come so; no stranger's do, by our table.
  writeSysctl(`ipv4/conf/${name}/route_localnet`, 1);
  // ip-sysctl: 8 is "do not reply for all local addresses".
  writeSysctl(`ipv4/conf/${name}/arp_ignore`, 8);
  writeSysctl(`ipv4/conf/${name}/send_redirects`, 0);
  writeSysctl(`ipv4/conf/${name}/forwarding`, 1);
  writeSysctl(`ipv4/conf/${name}/rp_filter`, 2);
}

/** What the mesh brings has a source that the sandbox's own routes would look for elsewhere, or nowhere. */
export function openReturn(name: string): void {
  // The kernel takes the greater of the two.
  for (const device of ["all", name]) writeSysctl(`ipv4/conf/${device}/rp_filter`, 0);
}

/** Before the interface gets an address. Without an IPv6 address of ours it is to say nothing in IPv6 at all. */
export function quietInterface(name: string, hasIpv6: boolean): void {
  // The swarm gives an address once and routes nothing by advertisement.
  for (const key of ["accept_dad", "accept_ra", "autoconf"])
    writeSysctl(`ipv6/conf/${name}/${key}`, 0);
  writeSysctl(`ipv6/conf/${name}/disable_ipv6`, hasIpv6 ? 0 : 1);
}
