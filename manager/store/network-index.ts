// What is derived from one network's rows: who is on it, which addresses and MACs are taken, what rests.
// It says where things are; whether they may be there is said by rules.ts.
import {
  addressAt,
  contains,
  formatIp,
  type Ip,
  networkOf,
  type Prefix,
  parseIp,
  parsePrefix,
  sizeOf,
} from "../../common/address.js";
import { assert } from "../../common/fault.js";
import {
  type Endpoint,
  EndpointKind,
  type Network,
  type Policy,
  type Quarantine,
} from "../../proto/gen/types.js";
import { BITS_MAX, SparseBits } from "../ipam/sparse-bits.js";

interface SubnetBits {
  /** The part that addresses are chosen from: the IP range if there is one, else the whole subnet. */
  readonly window: Prefix;
  /** The lowest offset in the window that may be chosen. */
  readonly first: number;
  /** Offsets in the window that are used, resting or reserved. */
  readonly taken: SparseBits;
}

// Choice: the first address of a range looks like a network's own to people and to some tools, so it is
// not chosen where the range is large enough to do without; who asks for it by name gets it.
const SKIP_FIRST_OF_RANGE_MIN = 4n;

export class NetworkIndex {
  readonly endpoints = new Map<string, Endpoint>();
  readonly vips = new Map<string, Endpoint>();
  readonly policies = new Map<string, Policy>();
  readonly resting = new Map<string, Quarantine>();
  /** Endpoints by node. */
  readonly nodes = new Map<string, number>();
  readonly #holders = new Map<string, string>();
  readonly #macs = new Map<string, string>();
  readonly #subnets = new Map<string, SubnetBits>();
  readonly #reserved = new Set<string>();

  constructor(network: Network) {
    for (const subnet of network.subnets) {
      const prefix = parsePrefix(subnet.cidr);
      const window = parsePrefix(subnet.ipRange === "" ? subnet.cidr : subnet.ipRange);
      assert(prefix !== undefined && window !== undefined, "a stored subnet is a prefix");
      const taken = new SparseBits();
      const first = sizeOf(window) >= SKIP_FIRST_OF_RANGE_MIN ? 1 : 0;
      this.#subnets.set(subnet.cidr, { window, first, taken });
      for (const address of edgesOf(prefix)) this.#reserve(formatIp(address));
      this.#reserve(subnet.gateway);
    }
    for (const config of network.spec?.ipam ?? []) {
      for (const address of Object.values(config.auxAddresses)) this.#reserve(address);
    }
  }

  isReserved(address: string): boolean {
    return this.#reserved.has(address);
  }

  holder(address: string): string | undefined {
    return this.#holders.get(address);
  }

  macHolder(mac: string): string | undefined {
    return this.#macs.get(mac);
  }

  addEndpoint(endpoint: Endpoint): void {
    this.endpoints.set(endpoint.id, endpoint);
    if (endpoint.kind === EndpointKind.VIP) this.vips.set(endpoint.id, endpoint);
    // A VIP is on no node of its own.
    if (endpoint.nodeId !== "") {
      this.nodes.set(endpoint.nodeId, (this.nodes.get(endpoint.nodeId) ?? 0) + 1);
    }
    this.#macs.set(endpoint.mac, endpoint.id);
    for (const address of addressesOf(endpoint)) {
      this.#holders.set(address, endpoint.id);
      this.#mark(address, true);
    }
  }

  removeEndpoint(endpoint: Endpoint): void {
    this.endpoints.delete(endpoint.id);
    this.vips.delete(endpoint.id);
    const left = (this.nodes.get(endpoint.nodeId) ?? 0) - 1;
    if (left > 0) this.nodes.set(endpoint.nodeId, left);
    else this.nodes.delete(endpoint.nodeId);
    this.#macs.delete(endpoint.mac);
    for (const address of addressesOf(endpoint)) {
      this.#holders.delete(address);
      this.#mark(address, false);
    }
  }

  addResting(quarantine: Quarantine): void {
    this.resting.set(quarantine.id, quarantine);
    this.#mark(quarantine.address, true);
  }

  removeResting(quarantine: Quarantine): void {
    this.resting.delete(quarantine.id);
    this.#mark(quarantine.address, false);
  }

  lowestFree(cidr: string): string | undefined {
    const subnet = this.#subnets.get(cidr);
    if (subnet === undefined) return undefined;
    const size = sizeOf(subnet.window);
    const last = size < BigInt(BITS_MAX) ? Number(size) - 1 : BITS_MAX - 1;
    const offset = subnet.taken.lowestGap(subnet.first, last);
    return offset === undefined ? undefined : formatIp(addressAt(subnet.window, BigInt(offset)));
  }

  #reserve(address: string): void {
    const ip = parseIp(address);
    if (ip === undefined) return;
    this.#reserved.add(formatIp(ip));
    this.#mark(address, true);
  }

  #mark(address: string, taken: boolean): void {
    const ip = parseIp(address);
    if (ip === undefined) return;
    for (const { window, taken: bits } of this.#subnets.values()) {
      if (!contains(window, ip)) continue;
      const offset = ip.value - window.ip.value;
      if (offset >= BigInt(BITS_MAX)) return;
      if (taken) bits.add(Number(offset));
      else bits.delete(Number(offset));
    }
  }
}

/** Without prefix length, in canonical text. */
export function addressesOf(endpoint: Endpoint): readonly string[] {
  return [endpoint.ipv4, endpoint.ipv6]
    .filter((text) => text !== "")
    .map((text) => text.slice(0, text.indexOf("/")));
}

// The network's own address (RFC 4291 section 2.6.1 makes it the routers' anycast address in IPv6) and,
// in IPv4, the broadcast address.
function edgesOf(prefix: Prefix): readonly Ip[] {
  const network = networkOf(prefix);
  if (prefix.ip.family === 6) return [network.ip];
  return [network.ip, addressAt(network, sizeOf(network) - 1n)];
}
