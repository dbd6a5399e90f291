// A frame as one line, in the manner of tcpdump.
import { type FrameFacts, factsOf, type IpFacts, PROTOCOL, TCP_FLAG } from "./frame-facts.js";

/** `length` is the whole frame's, of which `frame` may be the beginning. */
export function frameLine(frame: Buffer, length: number): string {
  const facts = factsOf(frame);
  if (facts === undefined) return `a frame of ${length} bytes, too short to be one`;
  const tags = facts.vlans.map((vlan) => `vlan ${vlan}, `).join("");
  return `${facts.source} > ${facts.target}, ${tags}${insideLine(facts)}, length ${length}`;
}

function insideLine({ arp, ip, type }: FrameFacts): string {
  if (arp !== undefined) {
    return arp.asks
      ? `ARP, who has ${arp.toIp}, tell ${arp.fromIp}`
      : `ARP, ${arp.fromIp} is at ${arp.fromMac}`;
  }
  if (ip === undefined) return `type 0x${type.toString(16).padStart(4, "0")}`;
  const from = ip.fromPort === undefined ? ip.from : ended(ip, ip.from, ip.fromPort);
  const to = ip.toPort === undefined ? ip.to : ended(ip, ip.to, ip.toPort);
  return `${from} > ${to}: ${protocolLine(ip)}`;
}

function ended({ family }: IpFacts, address: string, port: number): string {
  return family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [TCP_FLAG.fin, "F"],
  [TCP_FLAG.syn, "S"],
  [TCP_FLAG.rst, "R"],
  [TCP_FLAG.psh, "P"],
  [TCP_FLAG.urg, "U"],
  [TCP_FLAG.ack, "."],
];

function protocolLine(ip: IpFacts): string {
  if (ip.isLaterFragment) return `IP protocol ${ip.protocol}, a later fragment`;
  const data = ip.dataBytes === undefined ? "" : `, ${ip.dataBytes} bytes of data`;
  switch (ip.protocol) {
    case PROTOCOL.tcp: {
      if (ip.flags === undefined) return "TCP";
      const { flags, sequence = 0, acknowledged = 0 } = ip;
      const letters = FLAG_LETTERS.filter(([bit]) => flags & bit).map(([, letter]) => letter);
      const answers = flags & TCP_FLAG.ack ? `, ack ${acknowledged}` : "";
      return `TCP [${letters.join("")}], seq ${sequence}${answers}${data}`;
    }
    case PROTOCOL.udp:
      return `UDP${data}`;
    case PROTOCOL.sctp:
      return "SCTP";
    case PROTOCOL.icmp:
    case PROTOCOL.icmpv6:
      return icmpLine(ip);
    default:
      return `IP protocol ${ip.protocol}`;
  }
}

// RFC 792; RFC 4443, 4861 and 2710.
const ICMP_WORDS: Readonly<Record<4 | 6, Readonly<Record<number, string>>>> = {
  4: { 0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded" },
  6: {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    143: "multicast listener report",
  },
};

function icmpLine({ family, icmp }: IpFacts): string {
  const name = family === 4 ? "ICMP" : "ICMPv6";
  if (icmp === undefined) return name;
  const word = ICMP_WORDS[family][icmp.type] ?? `type ${icmp.type} code ${icmp.code}`;
  const code = word.startsWith("unreach") ? ` (code ${icmp.code})` : "";
  const id = word.startsWith("echo") ? `, id ${icmp.id}` : "";
  return `${name} ${word}${code}${id}`;
}
