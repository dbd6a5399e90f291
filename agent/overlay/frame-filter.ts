// Which frames are wanted, in a few of tcpdump's words: `tcp and port 80 and not host 10.0.1.3`. Words that stand
// side by side are joined by "and", which binds as tightly as "or", from the left, as pcap-filter(7) has it.
import { formatIp, parseIp } from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { ETHERTYPE, type FrameFacts, PROTOCOL } from "./frame-facts.js";

export type FrameFilter = (facts: FrameFacts) => boolean;

// Choice: a person types it.
const WORDS_MAX = 100;

export function parseFrameFilter(text: string): FrameFilter | Refusal {
  const words = text.split(/\s+/).filter((word) => word !== "");
  if (words.length > WORDS_MAX) return wrong(`it has more than ${WORDS_MAX} words`);
  let filter: FrameFilter | undefined;
  for (let rest = words; rest.length > 0; ) {
    const joint = filter === undefined ? "" : (rest[0] ?? "");
    const isJoint = joint === "and" || joint === "or";
    const term = parseTerm(isJoint ? rest.slice(1) : rest);
    if (isRefusal(term)) return term;
    const before = filter;
    const { holds } = term;
    if (before === undefined) filter = holds;
    else if (joint === "or") filter = (facts) => before(facts) || holds(facts);
    else filter = (facts) => before(facts) && holds(facts);
    rest = term.rest;
  }
  return filter ?? (() => true);
}

interface Term {
  readonly holds: FrameFilter;
  readonly rest: string[];
}

const KINDS: Readonly<Record<string, FrameFilter>> = {
  arp: ({ type }) => type === ETHERTYPE.arp,
  ip: ({ type }) => type === ETHERTYPE.ipv4,
  ip6: ({ type }) => type === ETHERTYPE.ipv6,
  tcp: ({ ip }) => ip?.protocol === PROTOCOL.tcp,
  udp: ({ ip }) => ip?.protocol === PROTOCOL.udp,
  sctp: ({ ip }) => ip?.protocol === PROTOCOL.sctp,
  icmp: ({ ip }) => ip?.protocol === PROTOCOL.icmp,
  icmp6: ({ ip }) => ip?.protocol === PROTOCOL.icmpv6,
  broadcast: ({ target }) => target === "ff:ff:ff:ff:ff:ff",
  // The group bit (IEEE 802) is the lowest of the first byte.
  multicast: ({ target }) => (Number.parseInt(target.slice(0, 2), 16) & 1) === 1,
  vlan: ({ vlans }) => vlans.length > 0,
};

function parseTerm(words: readonly string[]): Term | Refusal {
  const [word = "", ...rest] = words;
  if (word === "") return wrong("something is missing at its end");
  if (word === "not") {
    const term = parseTerm(rest);
    if (isRefusal(term)) return term;
    return { holds: (facts) => !term.holds(facts), rest: term.rest };
  }
  if (word === "src" || word === "dst") return parseNamed(word, rest);
  if (word === "host" || word === "port" || word === "ether") return parseNamed("either", words);
  const kind = Object.hasOwn(KINDS, word) ? KINDS[word] : undefined;
  return kind === undefined ? wrong(`"${word}" is not understood`) : { holds: kind, rest };
}

type Side = "src" | "dst" | "either";

function parseNamed(side: Side, words: readonly string[]): Term | Refusal {
  const [word = "", value = "", ...rest] = words;
  const any = (from: unknown, to: unknown, wanted: unknown) =>
    (side !== "dst" && from === wanted) || (side !== "src" && to === wanted);
  if (word === "host") {
    const ip = parseIp(value);
    if (ip === undefined) return wrong(`"${value}" is not an IP address`);
    const address = formatIp(ip);
    const holds: FrameFilter = ({ ip: inside, arp }) =>
      any(inside?.from ?? arp?.fromIp, inside?.to ?? arp?.toIp, address);
    return { holds, rest };
  }
  if (word === "port") {
    const port = /^\d{1,5}$/.test(value) ? Number(value) : 0;
    if (port < 1 || port > 65_535) return wrong(`"${value}" is not a port`);
    return { holds: ({ ip }) => any(ip?.fromPort, ip?.toPort, port), rest };
  }
  if (word === "ether") {
    const mac = value.toLowerCase();
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
      return wrong(`"${value}" is not a MAC address`);
    return { holds: ({ source, target }) => any(source, target, mac), rest };
  }
  return wrong(`"${word}" is not understood; after src and dst comes host, port or ether`);
}

function wrong(why: string): Refusal {
  return refuse("invalid-argument", `the filter cannot be read: ${why}`);
}
