// A frame taken apart as far as we can read it: for people who look at captures, and for whoever must know what a frame
// is about.
import { formatIp } from "../../common/address.js";
import { type Arp, decodeArp } from "./arp.js";
import { decodeEthernet, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, type Ethernet } from "./ethernet.js";
import { addSums, isIntact } from "./internet-checksum.js";
import { decodeIpv4, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, type Ipv4 } from "./ipv4.js";
import { decodeIpv6, type Ipv6 } from "./ipv6.js";
import { decodeNeighbour, type Neighbour } from "./ndp.js";
import { decodeTcp, TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, type Tcp } from "./tcp.js";
import { decodeUdp, type Udp } from "./udp.js";

/** What an IP packet carries. */
export type Transport =
  | { readonly kind: "tcp"; readonly tcp: Tcp }
  | { readonly kind: "udp"; readonly udp: Udp }
  | { readonly kind: "neighbour"; readonly neighbour: Neighbour }
  /** ICMP and all that we have no reader for. */
  | { readonly kind: "other"; readonly payload: Buffer }
  /** Not the first of its fragments: it has no header. */
  | { readonly kind: "fragment" }
  /** Its own header is cut short, or contradicts itself. */
  | { readonly kind: "malformed" };

export type Network =
  | { readonly kind: "arp"; readonly arp: Arp }
  | { readonly kind: "ipv4"; readonly ip: Ipv4; readonly transport: Transport }
  | { readonly kind: "ipv6"; readonly ip: Ipv6; readonly transport: Transport }
  | { readonly kind: "other" }
  | { readonly kind: "malformed" };

export interface Packet {
  readonly ethernet: Ethernet;
  readonly network: Network;
}

/** undefined: not even an Ethernet header. */
export function decodePacket(frame: Buffer): Packet | undefined {
  const ethernet = decodeEthernet(frame);
  return ethernet && { ethernet, network: networkOf(ethernet) };
}

function networkOf({ etherType, payload }: Ethernet): Network {
  if (etherType === ETH_P_ARP) {
    const arp = decodeArp(payload);
    return arp === undefined ? { kind: "malformed" } : { kind: "arp", arp };
  }
  if (etherType === ETH_P_IP) {
    const ip = decodeIpv4(payload);
    if (ip === undefined) return { kind: "malformed" };
    const transport = transportOf(ip.protocol, ip.fragmentOffsetBytes > 0, ip.payload);
    return { kind: "ipv4", ip, transport };
  }
  if (etherType === ETH_P_IPV6) {
    const ip = decodeIpv6(payload);
    if (ip === undefined) return { kind: "malformed" };
    const isLater = (ip.fragment?.offsetBytes ?? 0) > 0;
    return { kind: "ipv6", ip, transport: transportOf(ip.protocol, isLater, ip.payload) };
  }
  return { kind: "other" };
}

function transportOf(protocol: number, isLaterFragment: boolean, payload: Buffer): Transport {
  if (isLaterFragment) return { kind: "fragment" };
  switch (protocol) {
    case IPPROTO_TCP: {
      const tcp = decodeTcp(payload);
      return tcp === undefined ? { kind: "malformed" } : { kind: "tcp", tcp };
    }
    case IPPROTO_UDP: {
      const udp = decodeUdp(payload);
      return udp === undefined ? { kind: "malformed" } : { kind: "udp", udp };
    }
    case IPPROTO_ICMPV6: {
      const neighbour = decodeNeighbour(payload);
      return neighbour === undefined
        ? { kind: "other", payload }
        : { kind: "neighbour", neighbour };
    }
    default:
      return { kind: "other", payload };
  }
}

/** Whether TCP's, UDP's or ICMPv6's checksum holds; undefined: there is none, or not all of what it covers is here. */
export function transportIntact({ network }: Packet): boolean | undefined {
  if (network.kind !== "ipv4" && network.kind !== "ipv6") return undefined;
  const { ip, transport } = network;
  if (transport.kind === "malformed" || transport.kind === "fragment") return undefined;
  if (network.kind === "ipv4" ? network.ip.moreFragments : network.ip.fragment !== undefined)
    return undefined;
  const isUnsummed = transport.kind === "udp" && transport.udp.checksum === 0;
  const isCovered =
    [IPPROTO_TCP, IPPROTO_UDP].includes(ip.protocol) || transport.kind === "neighbour";
  if (isUnsummed || !isCovered) return undefined;
  let seed = addSums(ip.protocol, ip.payload.length);
  for (const { family, value } of [ip.source, ip.destination]) {
    for (let bits = family === 4 ? 32n : 128n; bits > 0n; bits -= 16n) {
      seed = addSums(seed, Number((value >> (bits - 16n)) & 0xffffn));
    }
  }
  return isIntact(ip.payload, seed);
}

/** One line, in the manner of tcpdump: "10.0.1.2:443 > 10.0.1.3:51820 tcp SA seq 1 ack 2 win 100, 0 bytes". */
export function describePacket({ ethernet, network }: Packet): string {
  const tags = ethernet.tags.map(({ vlanId }) => `vlan ${vlanId} `).join("");
  const macs = `${ethernet.source} > ${ethernet.destination} ${tags}`;
  switch (network.kind) {
    case "arp": {
      const { operation, senderIp, senderMac, targetIp } = network.arp;
      return operation === "request"
        ? `${macs}arp who has ${formatIp(targetIp)}? tell ${formatIp(senderIp)}`
        : `${macs}arp ${formatIp(senderIp)} is at ${senderMac}`;
    }
    case "ipv4":
    case "ipv6": {
      const { source, destination, protocol } = network.ip;
      return (
        tags +
        describeTransport(formatIp(source), formatIp(destination), protocol, network.transport)
      );
    }
    case "other":
      return `${macs}ethertype 0x${ethernet.etherType.toString(16).padStart(4, "0")}`;
    case "malformed":
      return `${macs}malformed`;
  }
}

const FLAG_LETTERS = [
  [TCP_SYN, "S"],
  [TCP_FIN, "F"],
  [TCP_RST, "R"],
  [TCP_PSH, "P"],
  [TCP_ACK, "."],
] as const;

function describeTransport(
  from: string,
  to: string,
  protocol: number,
  transport: Transport,
): string {
  const end = (ip: string, port: number) =>
    ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
  switch (transport.kind) {
    case "tcp": {
      const { sourcePort, destinationPort, flags, sequence, acknowledgement, window, payload } =
        transport.tcp;
      const letters = FLAG_LETTERS.map(([bit, letter]) => (flags & bit ? letter : "")).join("");
      const ports = `${end(from, sourcePort)} > ${end(to, destinationPort)}`;
      const numbers = `seq ${sequence} ack ${acknowledgement} win ${window}`;
      return `${ports} tcp ${letters || "none"} ${numbers}, ${payload.length} bytes`;
    }
    case "udp": {
      const { sourcePort, destinationPort, payload } = transport.udp;
      return `${end(from, sourcePort)} > ${end(to, destinationPort)} udp, ${payload.length} bytes`;
    }
    case "neighbour": {
      const { message, target, mac } = transport.neighbour;
      return message === "solicitation"
        ? `${from} > ${to} icmp6 who has ${formatIp(target)}?`
        : `${from} > ${to} icmp6 ${formatIp(target)} is at ${mac ?? "an address that it does not tell"}`;
    }
    case "other":
      return `${from} > ${to} protocol ${protocol}, ${transport.payload.length} bytes`;
    case "fragment":
      return `${from} > ${to} protocol ${protocol}, a later fragment`;
    case "malformed":
      return `${from} > ${to} protocol ${protocol}, malformed`;
  }
}
