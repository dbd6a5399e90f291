// What nf_tables has, as the kernel shows it in dumps. nftables.ts draws the layout, and asks for them.
import { eachAttribute, readText } from "./attribute.js";
import type { NetlinkMessage } from "./message.js";
import type { BaseChain, Element, MapShape, TableRef } from "./nftables.js";
import * as nft from "./nftables-constants.js";
import type { Expression } from "./nftables-expression.js";
import {
  counterOf,
  decodeCounter,
  decodeData,
  decodeExpressions,
  decodeVerdict,
} from "./nftables-expression-decode.js";

const NFGENMSG_BYTES = 4;

export interface FoundChain extends TableRef {
  readonly name: string;
  /** Undefined: no base chain. */
  readonly base: Omit<BaseChain, "name"> | undefined;
}

export interface FoundRule extends TableRef {
  readonly chain: string;
  /** Empty: it has none, or not one that is text. */
  readonly comment: string;
  /** Undefined: some of it is not among the expressions that we use. */
  readonly expressions: readonly Expression[] | undefined;
}

export interface RuleCount {
  readonly chain: string;
  readonly comment: string;
  /** Packets, since the rule was written. */
  readonly packets: number;
}

export interface FoundMap extends TableRef, MapShape {}

export function decodeGeneration(message: NetlinkMessage): number | undefined {
  let generation: number | undefined;
  const whole = fieldsOf(message, nft.NFT_MSG_NEWGEN, (type, start, end) => {
    if (type === nft.NFTA_GEN_ID && end - start === 4)
      generation = message.bytes.readUInt32BE(start);
  });
  return whole ? generation : undefined;
}

export function decodeChain(message: NetlinkMessage): FoundChain | undefined {
  const { bytes, from } = message;
  let table = "";
  let name = "";
  let type: BaseChain["type"] = "filter";
  let policy: "accept" | "drop" = "accept";
  let hook: ReturnType<typeof decodeHook>;
  const whole = fieldsOf(message, nft.NFT_MSG_NEWCHAIN, (field, start, end) => {
    if (field === nft.NFTA_CHAIN_TABLE) table = readText(bytes, start, end);
    else if (field === nft.NFTA_CHAIN_NAME) name = readText(bytes, start, end);
    else if (field === nft.NFTA_CHAIN_HOOK) hook = decodeHook(bytes, start, end);
    else if (field === nft.NFTA_CHAIN_TYPE) {
      const text = readText(bytes, start, end);
      type = text === "nat" || text === "route" ? text : "filter";
    } else if (field === nft.NFTA_CHAIN_POLICY && end - start === 4)
      policy = bytes.readUInt32BE(start) === nft.NF_DROP ? "drop" : "accept";
  });
  if (!whole || name === "") return undefined;
  return { family: bytes.readUInt8(from), table, name, base: hook && { type, ...hook, policy } };
}

function decodeHook(bytes: Buffer, from: number, to: number) {
  let hook: number | undefined;
  let priority = 0;
  const devices = new Set<string>();
  eachAttribute(bytes, from, to, (type, start, end) => {
    if (type === nft.NFTA_HOOK_DEV) devices.add(readText(bytes, start, end));
    else if (type === nft.NFTA_HOOK_DEVS) {
      eachAttribute(bytes, start, end, (_device, at, until) => {
        devices.add(readText(bytes, at, until));
      });
    } else if (end - start !== 4) return;
    else if (type === nft.NFTA_HOOK_HOOKNUM) hook = bytes.readUInt32BE(start);
    else if (type === nft.NFTA_HOOK_PRIORITY) priority = bytes.readInt32BE(start);
  });
  if (hook === undefined) return undefined;
  return { hook, priority, ...(devices.size > 0 ? { devices: [...devices] } : {}) };
}

/** Anonymous sets, which are parts of rules, are left out. */
export function decodeMap(message: NetlinkMessage): FoundMap | undefined {
  const { bytes, from } = message;
  let table = "";
  let name = "";
  const numbers = new Map<number, number>();
  const whole = fieldsOf(message, nft.NFT_MSG_NEWSET, (type, start, end) => {
    if (type === nft.NFTA_SET_TABLE) table = readText(bytes, start, end);
    else if (type === nft.NFTA_SET_NAME) name = readText(bytes, start, end);
    else if (end - start === 4) numbers.set(type, bytes.readUInt32BE(start));
  });
  const number = (type: number) => numbers.get(type) ?? 0;
  const flags = number(nft.NFTA_SET_FLAGS);
  if (!whole || name === "" || flags & nft.NFT_SET_ANONYMOUS) return undefined;
  const kind = kindOf(flags, number(nft.NFTA_SET_DATA_TYPE));
  return {
    family: bytes.readUInt8(from),
    table,
    name,
    kind,
    keyType: number(nft.NFTA_SET_KEY_TYPE),
    keyBytes: number(nft.NFTA_SET_KEY_LEN),
    dataType: kind === "map" ? number(nft.NFTA_SET_DATA_TYPE) : 0,
    dataBytes: kind === "map" ? number(nft.NFTA_SET_DATA_LEN) : 0,
  };
}

function kindOf(flags: number, dataType: number): MapShape["kind"] {
  if (flags & nft.NFT_SET_EVAL) return "noted";
  if (!(flags & nft.NFT_SET_MAP)) return "set";
  return dataType === nft.NFT_DATA_VERDICT ? "verdicts" : "map";
}

export function decodeRule(message: NetlinkMessage): FoundRule | undefined {
  const { bytes, from } = message;
  let table = "";
  let chain = "";
  let comment = "";
  let expressions: Expression[] | undefined = [];
  const whole = fieldsOf(message, nft.NFT_MSG_NEWRULE, (type, start, end) => {
    if (type === nft.NFTA_RULE_TABLE) table = readText(bytes, start, end);
    else if (type === nft.NFTA_RULE_CHAIN) chain = readText(bytes, start, end);
    else if (type === nft.NFTA_RULE_USERDATA) comment = commentIn(bytes, start, end);
    else if (type === nft.NFTA_RULE_EXPRESSIONS) expressions = decodeExpressions(bytes, start, end);
  });
  if (!whole || chain === "") return undefined;
  return { family: bytes.readUInt8(from), table, chain, comment, expressions };
}

/** Of a rule that counts; undefined if it does not. */
export function decodeRuleCount(message: NetlinkMessage): RuleCount | undefined {
  const { bytes } = message;
  let chain = "";
  let comment = "";
  let packets: number | undefined;
  const whole = fieldsOf(message, nft.NFT_MSG_NEWRULE, (type, start, end) => {
    if (type === nft.NFTA_RULE_CHAIN) chain = readText(bytes, start, end);
    else if (type === nft.NFTA_RULE_USERDATA) comment = commentIn(bytes, start, end);
    else if (type === nft.NFTA_RULE_EXPRESSIONS) packets = decodeCounter(bytes, start, end);
  });
  return whole && packets !== undefined ? { chain, comment, packets } : undefined;
}

/** The elements of one message of a dump; undefined if it is something else. */
export function decodeElements(message: NetlinkMessage): Element[] | undefined {
  const { bytes } = message;
  const elements: Element[] = [];
  const whole = fieldsOf(message, nft.NFT_MSG_NEWSETELEM, (type, start, end) => {
    if (type !== nft.NFTA_SET_ELEM_LIST_ELEMENTS) return;
    eachAttribute(bytes, start, end, (_list, at, until) => {
      const element = decodeElement(bytes, at, until);
      if (element !== undefined) elements.push(element);
    });
  });
  return whole ? elements : undefined;
}

function decodeElement(bytes: Buffer, from: number, to: number): Element | undefined {
  let key: Uint8Array | undefined;
  let data: Uint8Array = NO_DATA;
  let chain = "";
  let packets: number | undefined;
  eachAttribute(bytes, from, to, (field, start, end) => {
    if (field === nft.NFTA_SET_ELEM_KEY) key = decodeData(bytes, start, end);
    else if (field === nft.NFTA_SET_ELEM_EXPR) packets = counterOf(bytes, start, end);
    else if (field === nft.NFTA_SET_ELEM_DATA) {
      data = decodeData(bytes, start, end) ?? NO_DATA;
      if (data === NO_DATA) chain = decodeVerdict(bytes, start, end).chain;
    }
  });
  if (key === undefined) return undefined;
  return { key, data, ...(chain && { chain }), ...(packets !== undefined && { packets }) };
}

const NO_DATA = new Uint8Array(0);

function fieldsOf(
  message: NetlinkMessage,
  kind: number,
  visit: (type: number, from: number, to: number) => void,
): boolean {
  const { bytes, from, to, type } = message;
  if (type !== ((nft.NFNL_SUBSYS_NFTABLES << 8) | kind) || to - from < NFGENMSG_BYTES) return false;
  return eachAttribute(bytes, from + NFGENMSG_BYTES, to, visit);
}

/** Of libnftnl's user data: type, length, value; a comment ends with NUL. */
function commentIn(bytes: Buffer, from: number, to: number): string {
  for (let at = from; at + 2 <= to; ) {
    const end = at + 2 + bytes.readUInt8(at + 1);
    if (end > to) return "";
    if (bytes.readUInt8(at) === nft.NFTNL_UDATA_RULE_COMMENT) return readText(bytes, at + 2, end);
    at = end;
  }
  return "";
}
