// ctnetlink: the flows that the kernel follows, as far as a flow has to be forgotten because what it came by leads
// elsewhere now. A host may follow hundreds of thousands, so of each only what is compared is read.

import { eachAttribute, readU8, readU16be } from "./attribute.js";
import { NLM_F_DUMP } from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import * as nft from "./nftables-constants.js";
import type { NetlinkWriter } from "./writer.js";

const NFGENMSG_BYTES = 4;

export interface Flow {
  /** NFPROTO_*. */
  readonly family: number;
  readonly protocol: number;
  /** Where its first packet was sent, before any translation, in hexadecimal. */
  readonly destination: string;
  /** 0: its protocol has no ports. */
  readonly destinationPort: number;
  /** Who answers: where its first packet went, in hexadecimal. */
  readonly answers: string;
  /** CTA_TUPLE_ORIG as the kernel wrote it, to name the flow by. */
  readonly tuple: Uint8Array;
}

/** Of both families. */
export function dumpFlows(writer: NetlinkWriter): void {
  writer.message(typeOf(nft.IPCTNL_MSG_CT_GET), NLM_F_DUMP, () => writer.u32(0));
}

/** Those that the address, in hexadecimal, answers. A kernel before 5.8 tells all of the family. */
export function dumpFlowsTo(writer: NetlinkWriter, address: string): void {
  const v6 = address.length === 32;
  filtered(writer, v6 ? nft.NFPROTO_IPV6 : nft.NFPROTO_IPV4, () => {
    writer.nest(nft.CTA_TUPLE_REPLY, () =>
      writer.nest(nft.CTA_TUPLE_IP, () => {
        const field = v6 ? nft.CTA_IP_V6_SRC : nft.CTA_IP_V4_SRC;
        writer.attribute(field, Buffer.from(address, "hex"));
      }),
    );
    writer.nest(nft.CTA_FILTER, () => {
      writer.attributeU32(nft.CTA_FILTER_REPLY_FLAGS, nft.CTA_FILTER_F_CTA_IP_SRC);
    });
  });
}

/** Those that came to the port, of one family; the same of older kernels. */
export function dumpFlowsAt(
  writer: NetlinkWriter,
  family: number,
  protocol: number,
  port: number,
): void {
  filtered(writer, family, () => {
    writer.nest(nft.CTA_TUPLE_ORIG, () =>
      writer.nest(nft.CTA_TUPLE_PROTO, () => {
        writer.attributeU8(nft.CTA_PROTO_NUM, protocol);
        writer.attributeU16be(nft.CTA_PROTO_DST_PORT, port);
      }),
    );
    writer.nest(nft.CTA_FILTER, () => {
      const flags = nft.CTA_FILTER_F_CTA_PROTO_NUM | nft.CTA_FILTER_F_CTA_PROTO_DST_PORT;
      writer.attributeU32(nft.CTA_FILTER_ORIG_FLAGS, flags);
    });
  });
}

function filtered(writer: NetlinkWriter, family: number, fields: () => void): void {
  writer.message(typeOf(nft.IPCTNL_MSG_CT_GET), NLM_F_DUMP, () => {
    writer.u32(family);
    fields();
  });
}

/** How many there are in the namespace. */
export function countFlows(writer: NetlinkWriter): void {
  writer.message(typeOf(nft.IPCTNL_MSG_CT_GET_STATS), 0, () => writer.u32(0));
}

export function decodeFlowCount({ bytes, from, to, type }: NetlinkMessage): number | undefined {
  if (type !== typeOf(nft.IPCTNL_MSG_CT_GET_STATS)) return undefined;
  let count: number | undefined;
  eachAttribute(bytes, from + NFGENMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === nft.CTA_STATS_GLOBAL_ENTRIES && end - start === 4) {
      count = bytes.readUInt32BE(start);
    }
  });
  return count;
}

/** ENOENT if it has ended meanwhile. */
export function deleteFlow(writer: NetlinkWriter, flow: Flow): void {
  writer.message(typeOf(nft.IPCTNL_MSG_CT_DELETE), 0, () => {
    writer.u32(flow.family);
    writer.nested(nft.CTA_TUPLE_ORIG, flow.tuple);
  });
}

/** `undefined` unless it is a whole flow of IPv4 or IPv6. */
export function decodeFlow(message: NetlinkMessage): Flow | undefined {
  const { bytes, from, to, type } = message;
  if (type !== typeOf(nft.IPCTNL_MSG_CT_NEW) || to - from < NFGENMSG_BYTES) return undefined;
  let original = NOWHERE;
  let reply = NOWHERE;
  const whole = eachAttribute(bytes, from + NFGENMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === nft.CTA_TUPLE_ORIG) original = [start, end];
    else if (attribute === nft.CTA_TUPLE_REPLY) reply = [start, end];
  });
  if (!whole || original === NOWHERE || reply === NOWHERE) return undefined;
  const family = bytes.readUInt8(from);
  const v6 = family === nft.NFPROTO_IPV6;
  const way = tupleOf(bytes, original, v6 ? nft.CTA_IP_V6_DST : nft.CTA_IP_V4_DST);
  const back = tupleOf(bytes, reply, v6 ? nft.CTA_IP_V6_SRC : nft.CTA_IP_V4_SRC);
  if (way.address === "" || back.address === "") return undefined;
  return {
    family,
    protocol: way.protocol,
    destination: way.address,
    destinationPort: way.port,
    answers: back.address,
    tuple: new Uint8Array(bytes.subarray(...original)),
  };
}

type Bounds = readonly [from: number, to: number];
const NOWHERE: Bounds = [0, 0];

/** The address of that field, the protocol and the destination's port. */
function tupleOf(bytes: Buffer, [from, to]: Bounds, addressField: number) {
  let address = "";
  let protocol = 0;
  let port = 0;
  eachAttribute(bytes, from, to, (part, start, end) => {
    eachAttribute(bytes, start, end, (field, at, until) => {
      if (part === nft.CTA_TUPLE_IP) {
        if (field === addressField) address = bytes.toString("hex", at, until);
      } else if (part === nft.CTA_TUPLE_PROTO) {
        if (field === nft.CTA_PROTO_NUM) protocol = readU8(bytes, at, until);
        else if (field === nft.CTA_PROTO_DST_PORT) port = readU16be(bytes, at, until);
      }
    });
  });
  return { address, protocol, port };
}

function typeOf(message: number): number {
  return (nft.NFNL_SUBSYS_CTNETLINK << 8) | message;
}
