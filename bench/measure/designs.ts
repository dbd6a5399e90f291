// The ways of joining two hosts that bench/datapath compares. Each stands on two network namespaces of its own, so that none
// is in another's way; to add one is to write a row.
import { inside, ip } from "../../test/netns/kernel-lab.js";
import { fileOf, gone, hosts, type Offloads, type Standing, UNDERLAY } from "./pair.js";
import { insideOf, macOf, skein, VNI } from "./skein.js";
import { n2n, tinc, wireguardGo } from "./tunnels.js";

export interface Design {
  readonly name: string;
  up(prefix: string, offloads: Offloads): Promise<Standing>;
}

export const DESIGNS: readonly Design[] = [
  { name: "underlay", up: underlay },
  { name: "docker", up: docker },
  { name: "kernel", up: (prefix, offloads) => skein(prefix, offloads, "kernel") },
  { name: "accelerated", up: (prefix, offloads) => skein(prefix, offloads, "accelerated") },
  { name: "userspace", up: (prefix, offloads) => skein(prefix, offloads, "userspace") },
  { name: "encrypted", up: (prefix, offloads) => skein(prefix, offloads, "kernel", true) },
  { name: "wireguard-go", up: wireguardGo },
  { name: "tinc", up: tinc },
  { name: "n2n", up: n2n },
];

/** What is told beside the figures: the first one's, of each round, by the second one's of the same round. */
export const RATIOS = [
  ["kernel", "docker"],
  ["accelerated", "underlay"],
  ["accelerated", "docker"],
  ["userspace", "docker"],
  ["userspace", "wireguard-go"],
  ["userspace", "tinc"],
  ["userspace", "n2n"],
  ["encrypted", "wireguard-go"],
] as const;

async function underlay(prefix: string, offloads: Offloads): Promise<Standing> {
  const names = hosts(prefix, offloads);
  const down = async () => gone(...names);
  const [client, server] = [fileOf(names[0]), fileOf(names[1])];
  return { client, server, address: UNDERLAY[1], hosts: names, down };
}

/** As Docker's overlay driver lays it out: a namespace with bridge and VXLAN device, a veth pair to the container. */
async function docker(prefix: string, offloads: Offloads): Promise<Standing> {
  const names = hosts(prefix, offloads);
  const containers = names.map((host) => `${host}c`);
  const nets = names.map((host) => `${host}n`);
  for (const [i, host] of names.entries()) {
    const [net, container] = [nets[i] ?? "", containers[i] ?? ""];
    const other = 1 - i;
    for (const name of [net, container]) ip("netns", "add", name);
    const local = ["local", UNDERLAY[i] ?? ""];
    const vxlan = ["type", "vxlan", "id", String(VNI), "dstport", "4789", ...local];
    ip("-n", host, "link", "add", "vx0", "mtu", "1450", ...vxlan, "proxy", "nolearning");
    ip("-n", host, "link", "set", "vx0", "netns", net);
    ip("-n", net, "link", "add", "br0", "mtu", "1450", "type", "bridge");
    const pair = ["type", "veth", "peer", "name", "eth0", "address", macOf(i), "mtu", "1450"];
    ip("-n", net, "link", "add", "veth0", "mtu", "1450", ...pair, "netns", container);
    for (const device of ["vx0", "veth0"])
      ip("-n", net, "link", "set", device, "master", "br0", "up");
    ip("-n", net, "link", "set", "br0", "up");
    ip("-n", container, "addr", "add", `${insideOf(i)}/24`, "dev", "eth0");
    ip("-n", container, "link", "set", "eth0", "up");
    const to = ["dev", "vx0", "dst", UNDERLAY[other] ?? ""];
    inside(fileOf(net), "bridge", "fdb", "add", macOf(other), ...to, "self");
    const neighbour = ["lladdr", macOf(other), "dev", "vx0", "nud", "permanent"];
    ip("-n", net, "neigh", "add", insideOf(other), ...neighbour);
  }
  const down = async () => gone(...containers, ...nets, ...names);
  const [client, server] = containers.map(fileOf);
  return { client: client ?? "", server: server ?? "", address: insideOf(1), hosts: names, down };
}
