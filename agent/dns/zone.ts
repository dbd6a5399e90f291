// What one sandbox is told: the names of the networks that it is on, in the order of its interfaces, and then
// whatever the outside says. "a.b.c" is the name "a.b.c" on any of them, or "a.b" on network "c", or "a" on
// network "b.c", in this order, as Docker does it.
import { contains, type Ip, type Prefix } from "../../common/address.js";
import type { Named, NetworkNames } from "./names.js";
import type { Query } from "./query.js";
import { type Rr, reply, type Transport } from "./reply.js";
import { NOERROR, NXDOMAIN, TYPE_A, TYPE_AAAA, TYPE_PTR, TYPE_SRV } from "./wire.js";

export interface ZoneNetwork {
  /** Key (wire.ts) of the network's name. */
  readonly key: string | undefined;
  readonly names: NetworkNames;
  readonly subnets: readonly Prefix[];
}

/** In the order of the sandbox's interfaces. */
export type Zone = readonly ZoneNetwork[];

const UNDERSCORE = 0x5f;
const IN_ADDR = "\x07in-addr\x04arpa\0";
const IP6 = "\x03ip6\x04arpa\0";

/** The answer to a question about a name of ours; undefined: it is nobody's here, ask outside. */
export function answer(
  zone: Zone,
  query: Query,
  transport: Transport,
  order: number,
): Buffer | undefined {
  const { key, type } = query;
  const named = find(zone, key);
  if (named !== undefined) {
    return reply(query, NOERROR, recordsOf(named, type), transport, order);
  }
  if (key.charCodeAt(1) === UNDERSCORE) return answerService(zone, query, transport, order);
  // An address on our networks that nobody has: the outside cannot know it, and might know another one.
  const asked = key.endsWith(IN_ADDR) || key.endsWith(IP6);
  const ip = asked ? addressOfReverse(key) : undefined;
  if (ip === undefined) return undefined;
  const isOurs = zone.some(({ subnets }) => subnets.some((subnet) => contains(subnet, ip)));
  return isOurs ? reply(query, NXDOMAIN, [], transport) : undefined;
}

/** A type that a name has no records of: none, which is not the same as no such name (RFC 2308 section 2.2). */
function recordsOf(named: Named, type: number): readonly Rr[] {
  if (type === TYPE_A) return named.addresses(4);
  if (type === TYPE_AAAA) return named.addresses(6);
  if (type === TYPE_PTR && named.pointers.length > 0) return named.reverse();
  return [];
}

/** `_port._protocol.service`, RFC 2782. The port by its name or its number. */
function answerService(
  zone: Zone,
  query: Query,
  transport: Transport,
  order: number,
): Buffer | undefined {
  const { key } = query;
  const second = 1 + key.charCodeAt(0);
  if (key.charCodeAt(second + 1) !== UNDERSCORE) return undefined;
  const rest = second + 1 + key.charCodeAt(second);
  const named = find(zone, key.slice(rest));
  if (named === undefined || named.services.length + named.tasks.length === 0) return undefined;
  const port = key.slice(2, second);
  const records = named.serviceRecords(port, key.slice(second + 2, rest));
  // A port that the service does not publish is no name at all.
  const code = records.length === 0 && !hasPort(named, port) ? NXDOMAIN : NOERROR;
  const shown = query.type === TYPE_SRV ? records : [];
  return reply(query, code, shown, transport, order);
}

function hasPort({ services, tasks }: Named, port: string): boolean {
  return [...services, ...tasks].some((service) =>
    service.row?.ports.some(
      (each) => String(each.targetPort) === port || each.name.toLowerCase() === port,
    ),
  );
}

function find(zone: Zone, key: string): Named | undefined {
  for (const { names } of zone) {
    const named = names.get(key);
    if (named !== undefined) return named;
  }
  // From the last label on: the longest name, and the shortest network.
  const starts: number[] = [];
  for (let at = 1 + key.charCodeAt(0); key.charCodeAt(at) > 0; at += 1 + key.charCodeAt(at)) {
    starts.push(at);
  }
  for (const start of starts.reverse()) {
    const suffix = key.slice(start);
    for (const network of zone) {
      if (network.key !== suffix) continue;
      const named = network.names.get(`${key.slice(0, start)}\0`);
      if (named !== undefined) return named;
    }
  }
  return undefined;
}

function addressOfReverse(key: string): Ip | undefined {
  const labels: string[] = [];
  for (let at = 0; key.charCodeAt(at) > 0; at += 1 + key.charCodeAt(at)) {
    labels.push(key.slice(at + 1, at + 1 + key.charCodeAt(at)));
  }
  const digits = labels.slice(0, -2).reverse();
  if (key.endsWith(IN_ADDR)) {
    const isAddress =
      digits.length === 4 && digits.every((each) => /^(0|[1-9]\d{0,2})$/.test(each));
    if (!isAddress || digits.some((each) => Number(each) > 255)) return undefined;
    return { family: 4, value: digits.reduce((sum, each) => sum * 256n + BigInt(each), 0n) };
  }
  if (!key.endsWith(IP6) || digits.length !== 32) return undefined;
  if (!digits.every((each) => /^[0-9a-f]$/.test(each))) return undefined;
  return { family: 6, value: BigInt(`0x${digits.join("")}`) };
}
