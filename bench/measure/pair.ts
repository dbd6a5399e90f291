// Two hosts, a network namespace each, joined by a veth pair of 1500 bytes; and what the pair makes of large frames, for
// that decides more of a throughput than what is compared on it.
import { execFileSync } from "node:child_process";
import { ip } from "../../test/netns/kernel-lab.js";

/** Where measured programs run: network namespace files, and the address that the client asks. */
export interface Standing {
  readonly client: string;
  readonly server: string;
  readonly address: string;
  /** Names of the namespaces whose processes carry the frames. */
  readonly hosts: readonly string[];
  down(): Promise<void>;
}

export const UNDERLAY = ["192.0.2.1", "192.0.2.2"] as const;

export const OFFLOADS = {
  /** A veth pair's default: frames of 64 KB cross whole, tunnelled ones too. */
  "tunnel-gso": [],
  /** As with a real card that knows nothing of tunnels: 1500 bytes on the wire, merged again where they arrive. */
  "1500-gro": ["tso off", "tx-udp-segmentation off", "gso off", "gro on"],
  /** Each frame of 1500 bytes by itself, all the way. */
  "1500": ["tso off", "tx-udp-segmentation off", "gso off", "gro off"],
} as const;
export type Offloads = keyof typeof OFFLOADS;

const TUNNEL_GSO_OFF = ["tx-udp_tnl-segmentation off", "tx-udp_tnl-csum-segmentation off"];

export function hosts(prefix: string, offloads: Offloads): readonly [string, string] {
  const names = [`${prefix}a`, `${prefix}b`] as const;
  for (const name of names) {
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
  }
  const far = ["peer", "name", "ul0", "netns", names[1]];
  ip("-n", names[0], "link", "add", "ul0", "type", "veth", ...far);
  for (const [i, name] of names.entries()) {
    ip("-n", name, "addr", "add", `${UNDERLAY[i]}/24`, "dev", "ul0");
    ip("-n", name, "link", "set", "ul0", "up");
    for (const change of changesOf(offloads)) {
      const words = ["-K", "ul0", ...change.split(" ")];
      execFileSync("nsenter", [`--net=${fileOf(name)}`, "ethtool", ...words], { stdio: "pipe" });
    }
  }
  return names;
}

function changesOf(offloads: Offloads): readonly string[] {
  const changes = OFFLOADS[offloads];
  return changes.length === 0 ? [] : [...changes, ...TUNNEL_GSO_OFF];
}

export const fileOf = (name: string) => `/run/netns/${name}`;

export function gone(...names: readonly string[]): void {
  for (const name of names) ip("netns", "del", name);
}

/** The machine's default may be another, and what it makes of a path without loss is not what is asked here. */
export function settle({ client, server }: Pick<Standing, "client" | "server">): void {
  const words = ["sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno"];
  for (const netns of [client, server]) execFileSync("nsenter", [`--net=${netns}`, ...words]);
}
