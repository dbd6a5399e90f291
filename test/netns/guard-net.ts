// A network for the guard's tests: endpoints on hosts, wants with the guard's tables, and frames sent and seen raw.
import { closeSync } from "node:fs";
import { MSG_DONTWAIT, SOCK_RAW, sendto, socket, tryRecv } from "../../agent/kernel/libc.js";
import { within } from "../../agent/kernel/namespace.js";
import type {
  HostWant,
  LocalEndpoint,
  NetworkWant,
  RemoteEndpoint,
} from "../../agent/reconcile/want.js";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import type { Station } from "../fakes/guard-frames.js";
import { type Host, inside } from "./kernel-lab.js";

export const VNI = parseVni(4097) as Vni;
// linux/if_packet.h, if_ether.h: every protocol, in network byte order.
const AF_PACKET = 17;
const ETH_P_ALL_BE = 0x0300;

/** The nth endpoint: 10.0.1.n. */
export function station(n: number): Station {
  const byte = n.toString(16).padStart(2, "0");
  return { mac: `02:42:0a:00:01:${byte}`, ipv4: `10.0.1.${n}`, ipv6: `fd00:1::${byte}` };
}
export const idOf = (n: number) => `${n}`.padStart(4, "a").padEnd(64, "0");

/** Where each endpoint lives: its number → the host. */
export type Homes = ReadonlyMap<number, Host>;

export function networkWant(
  host: Host,
  homes: Homes,
  more: Partial<NetworkWant> = {},
): NetworkWant {
  const locals: LocalEndpoint[] = [];
  const remotes: RemoteEndpoint[] = [];
  for (const [n, home] of homes) {
    const { mac, ipv4, ipv6 } = station(n);
    const common = { endpointId: `endpoint${n}`, mac: parseMac(mac) as Mac, version: n };
    const prefixes = [parsePrefix(`${ipv4}/24`), parsePrefix(`${ipv6}/64`)] as Prefix[];
    const sandbox = { kind: "own", id: idOf(n) } as const;
    if (home === host) locals.push({ ...common, prefixes, interfaceName: "eth0", sandbox });
    else remotes.push({ ...common, ips: prefixes.map(({ ip }) => ip), vtep: ipOf(home.vtep) });
  }
  const vteps = new Set(remotes.map(({ vtep }) => vtep.value));
  return {
    ...{ networkId: "networknetworknetworkabcd", name: "overnet", vni: VNI, mtuBytes: 0 },
    ...{ vtep: ipOf(host.vtep), port: 4789, path: "kernel" },
    subnets: [parsePrefix("10.0.1.0/24"), parsePrefix("fd00:1::/64")] as Prefix[],
    ...{ locals, remotes },
    floodTo: [...vteps].map((value) => ({ family: ipOf(host.vtep).family, value })),
    ...more,
  };
}

export function hostWant(...networks: readonly NetworkWant[]): HostWant {
  const locals = networks.flatMap((network) => network.locals);
  const sandboxes = locals.flatMap(({ sandbox }) =>
    sandbox.kind === "own" ? [{ id: sandbox.id }] : [],
  );
  return { sandboxes, networks };
}

export function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`no address: ${text}`);
  return ip;
}

/** A raw socket in a namespace: sends frames by an interface, and tells what comes and goes by all of them. */
export class Tap {
  readonly #fd: number;
  readonly #ifindex: number;
  readonly #seen: string[] = [];

  constructor(netns: string, device: string) {
    this.#fd = within(netns, () => socket(AF_PACKET, SOCK_RAW, ETH_P_ALL_BE));
    this.#ifindex = Number.parseInt(inside(netns, "ip", "-o", "link", "show", "dev", device), 10);
  }

  send(frame: Uint8Array): void {
    // struct sockaddr_ll (linux/if_packet.h): family, protocol, index, hardware type, packet type, address length.
    const to = Buffer.alloc(20);
    to.writeUInt16LE(AF_PACKET, 0);
    to.writeInt32LE(this.#ifindex, 4);
    sendto(this.#fd, frame, 0, to);
  }

  /** All that came or went since the beginning, in hexadecimal. */
  seen(): readonly string[] {
    const buffer = Buffer.alloc(65_536);
    for (;;) {
      const length = tryRecv(this.#fd, buffer, MSG_DONTWAIT);
      if (length <= 0) return this.#seen;
      this.#seen.push(buffer.toString("hex", 0, length));
    }
  }

  forget(): void {
    this.seen();
    this.#seen.length = 0;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
