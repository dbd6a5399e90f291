// RTM_NEWRULE and its kin: which routing table a packet is looked up in.
//
//   0      1       2       3     4      5      6      7       8              12
//   +------+-------+-------+-----+------+------+------+-------+--------------+-------------
//   |family|dst len|src len| tos |table | pad  | pad  |action | flags        | attributes…   struct fib_rule_hdr
//   +------+-------+-------+-----+------+------+------+-------+--------------+-------------
import type { Family } from "../../common/address.js";
import { eachAttribute, readU32 } from "./attribute.js";
import {
  AF_INET,
  AF_INET6,
  FIB_RULE_INVERT,
  FR_ACT_TO_TBL,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_IP_PROTO,
  FRA_PRIORITY,
  FRA_SPORT_RANGE,
  FRA_TABLE,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RT_TABLE_COMPAT,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const RULE_HEADER_BYTES = 12;

/** Lower priorities are asked first; the kernel's own are 0 (local), 32766 (main) and 32767 (default). */
export interface RoutingRule {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly when: /** Every packet that has a mark. */
    | { readonly kind: "marked" }
    /** What this namespace itself sends from a port. */
    | { readonly kind: "source-port"; readonly protocol: number; readonly port: number }
    /** None that we write. */
    | { readonly kind: "other" };
}

const ANY_MARK = 0xffffffff;

export function dumpRules(writer: NetlinkWriter, family: Family): void {
  writer.message(RTM_GETRULE, NLM_F_DUMP, () => header(writer, family, 0));
}

/** EEXIST if it is there. */
export function putRule(writer: NetlinkWriter, rule: RoutingRule): void {
  writer.message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, () => write(writer, rule));
}

/** ENOENT if there is none like it. */
export function deleteRule(writer: NetlinkWriter, rule: RoutingRule): void {
  writer.message(RTM_DELRULE, 0, () => write(writer, rule));
}

export function decodeRoutingRule(message: NetlinkMessage): RoutingRule | undefined {
  const { bytes, from, to, type } = message;
  if ((type !== RTM_NEWRULE && type !== RTM_DELRULE) || to - from < RULE_HEADER_BYTES)
    return undefined;
  const numbers = new Map<number, number>();
  let ports: readonly [number, number] | undefined;
  const whole = eachAttribute(bytes, from + RULE_HEADER_BYTES, to, (attribute, start, end) => {
    if (attribute === FRA_IP_PROTO && end > start) numbers.set(attribute, bytes.readUInt8(start));
    else if (attribute === FRA_SPORT_RANGE && end - start === 4)
      ports = [bytes.readUInt16LE(start), bytes.readUInt16LE(start + 2)];
    else if (end - start === 4) numbers.set(attribute, readU32(bytes, start, end));
  });
  if (!whole) return undefined;
  const family = bytes.readUInt8(from) === AF_INET6 ? 6 : 4;
  const priority = numbers.get(FRA_PRIORITY) ?? 0;
  const table = numbers.get(FRA_TABLE) ?? bytes.readUInt8(from + 4);
  const isInverted = (bytes.readUInt32LE(from + 8) & FIB_RULE_INVERT) !== 0;
  const protocol = numbers.get(FRA_IP_PROTO);
  const hasMark = numbers.get(FRA_FWMASK) === ANY_MARK && !numbers.get(FRA_FWMARK);
  const when: RoutingRule["when"] =
    isInverted && hasMark
      ? { kind: "marked" }
      : !isInverted && protocol !== undefined && ports !== undefined && ports[0] === ports[1]
        ? { kind: "source-port", protocol, port: ports[0] }
        : { kind: "other" };
  return { family, priority, table, when };
}

function write(writer: NetlinkWriter, { family, priority, table, when }: RoutingRule): void {
  header(writer, family, when.kind === "marked" ? FIB_RULE_INVERT : 0);
  writer.attributeU32(FRA_PRIORITY, priority);
  writer.attributeU32(FRA_TABLE, table);
  if (when.kind === "marked") {
    // "Not 0 in all bits" is any mark.
    writer.attributeU32(FRA_FWMARK, 0);
    writer.attributeU32(FRA_FWMASK, ANY_MARK);
  } else if (when.kind === "source-port") {
    writer.attributeU8(FRA_IP_PROTO, when.protocol);
    // struct fib_rule_port_range, in host byte order.
    const range = Buffer.alloc(4);
    range.writeUInt16LE(when.port, 0);
    range.writeUInt16LE(when.port, 2);
    writer.attribute(FRA_SPORT_RANGE, range);
  }
}

function header(writer: NetlinkWriter, family: Family, flags: number): void {
  writer.u8(family === 4 ? AF_INET : AF_INET6);
  for (let i = 0; i < 3; i++) writer.u8(0);
  writer.u8(RT_TABLE_COMPAT);
  writer.u16(0);
  writer.u8(FR_ACT_TO_TBL);
  writer.u32(flags);
}
