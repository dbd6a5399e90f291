// Reads the expressions of rules, as the kernel shows them. What is not among ours is told as such.
import { eachAttribute, readText } from "./attribute.js";
import * as nft from "./nftables-constants.js";
import {
  CHAIN_VERDICTS,
  COMPARISONS,
  CT_KEYS,
  type Expression,
  HEADERS,
  META_KEYS,
  REJECT_CODES,
  type Register,
  VERDICTS,
} from "./nftables-expression.js";

/** The expressions of a list; undefined if it is cut short or holds one that is not among ours. */
export function decodeExpressions(
  bytes: Buffer,
  from: number,
  to: number,
): Expression[] | undefined {
  const list: Expression[] = [];
  let known = true;
  const whole = eachAttribute(bytes, from, to, (_type, start, end) => {
    const one = decodeExpression(bytes, start, end);
    if (one === undefined) known = false;
    else list.push(one);
  });
  return whole && known ? list : undefined;
}

function decodeExpression(bytes: Buffer, from: number, to: number): Expression | undefined {
  let name = "";
  let bounds: readonly [number, number] = [0, 0];
  const whole = eachAttribute(bytes, from, to, (type, start, end) => {
    if (type === nft.NFTA_EXPR_NAME) name = readText(bytes, start, end);
    else if (type === nft.NFTA_EXPR_DATA) bounds = [start, end];
  });
  const fields = new Fields(bytes);
  return whole && fields.read(...bounds) ? expressionOf(name, fields) : undefined;
}

function expressionOf(name: string, f: Fields): Expression | undefined {
  switch (name) {
    case "payload":
      return payloadOf(f);
    case "meta": {
      const key = keyOf(META_KEYS, f.number(nft.NFTA_META_KEY));
      const to = f.register(nft.NFTA_META_DREG);
      const from = f.register(nft.NFTA_META_SREG);
      if (key === "mark" && from !== undefined) return { kind: "meta-set", key, from };
      return key && to !== undefined ? { kind: "meta", key, to } : undefined;
    }
    case "ct": {
      const key = keyOf(CT_KEYS, f.number(nft.NFTA_CT_KEY));
      const to = f.register(nft.NFTA_CT_DREG);
      const from = f.register(nft.NFTA_CT_SREG);
      if (f.number(nft.NFTA_CT_KEY) === nft.NFT_CT_ZONE && from !== undefined) {
        const ofRequests = f.byte(nft.NFTA_CT_DIRECTION) === nft.IP_CT_DIR_ORIGINAL;
        return ofRequests ? { kind: "ct-zone", from } : undefined;
      }
      if (key === "mark" && from !== undefined) return { kind: "ct-set", key, from };
      return key && to !== undefined ? { kind: "ct", key, to } : undefined;
    }
    case "numgen": {
      const to = f.register(nft.NFTA_NG_DREG);
      const modulus = f.number(nft.NFTA_NG_MODULUS);
      const isOurs =
        f.number(nft.NFTA_NG_TYPE) === nft.NFT_NG_RANDOM && !f.number(nft.NFTA_NG_OFFSET);
      if (!isOurs || to === undefined || modulus === undefined) return undefined;
      return { kind: "random", to, modulus };
    }
    case "hash":
      return hashOf(f);
    case "fib": {
      const to = f.register(nft.NFTA_FIB_DREG);
      const isOurs =
        f.number(nft.NFTA_FIB_RESULT) === nft.NFT_FIB_RESULT_ADDRTYPE &&
        f.number(nft.NFTA_FIB_FLAGS) === nft.NFTA_FIB_F_DADDR;
      return isOurs && to !== undefined ? { kind: "fib-daddr-type", to } : undefined;
    }
    case "bitwise": {
      const from = f.register(nft.NFTA_BITWISE_SREG);
      const to = f.register(nft.NFTA_BITWISE_DREG);
      const mask = f.value(nft.NFTA_BITWISE_MASK);
      const xor = f.value(nft.NFTA_BITWISE_XOR);
      if (from === undefined || to === undefined || !mask || !xor) return undefined;
      return { kind: "bitwise", from, to, mask, xor };
    }
    case "cmp": {
      const from = f.register(nft.NFTA_CMP_SREG);
      const is = keyOf(COMPARISONS, f.number(nft.NFTA_CMP_OP));
      const value = f.value(nft.NFTA_CMP_DATA);
      if (from === undefined || is === undefined || !value) return undefined;
      return { kind: "cmp", from, is, value };
    }
    case "lookup":
      return lookupOf(f);
    case "nat":
      return natOf(f);
    case "redir": {
      const port = f.register(nft.NFTA_REDIR_REG_PROTO_MIN);
      return port === undefined ? undefined : { kind: "redirect", port };
    }
    case "reject": {
      const type = f.number(nft.NFTA_REJECT_TYPE);
      if (type === nft.NFT_REJECT_TCP_RST) return { kind: "reject", with: "tcp-reset" };
      const code = keyOf(REJECT_CODES, f.byte(nft.NFTA_REJECT_ICMP_CODE));
      if (type !== nft.NFT_REJECT_ICMPX_UNREACH || code === undefined) return undefined;
      return { kind: "reject", with: code };
    }
    case "masq":
      return { kind: "masquerade" };
    case "counter":
      return { kind: "counter" };
    case "dynset":
      return noteOf(f);
    case "limit":
      return limitOf(f);
    case "immediate":
      return immediateOf(f);
    default:
      return undefined;
  }
}

function payloadOf(f: Fields): Expression | undefined {
  const header = keyOf(HEADERS, f.number(nft.NFTA_PAYLOAD_BASE));
  const offset = f.number(nft.NFTA_PAYLOAD_OFFSET);
  const bytes = f.number(nft.NFTA_PAYLOAD_LEN);
  const to = f.register(nft.NFTA_PAYLOAD_DREG);
  const from = f.register(nft.NFTA_PAYLOAD_SREG);
  if (header === undefined || offset === undefined || bytes === undefined) return undefined;
  if (to !== undefined) return { kind: "payload", header, offset, bytes, to };
  const isOurs = header === "link" && !f.number(nft.NFTA_PAYLOAD_CSUM_TYPE);
  return isOurs && from !== undefined
    ? { kind: "payload-set", header, offset, bytes, from }
    : undefined;
}

function hashOf(f: Fields): Expression | undefined {
  const from = f.register(nft.NFTA_HASH_SREG);
  const to = f.register(nft.NFTA_HASH_DREG);
  const bytes = f.number(nft.NFTA_HASH_LEN);
  const modulus = f.number(nft.NFTA_HASH_MODULUS);
  const seed = f.number(nft.NFTA_HASH_SEED);
  if (f.number(nft.NFTA_HASH_TYPE) !== nft.NFT_HASH_JENKINS || f.number(nft.NFTA_HASH_OFFSET))
    return undefined;
  if (from === undefined || to === undefined || bytes === undefined) return undefined;
  if (modulus === undefined || seed === undefined) return undefined;
  return { kind: "hash", from, bytes, to, modulus, seed };
}

function lookupOf(f: Fields): Expression | undefined {
  const from = f.register(nft.NFTA_LOOKUP_SREG);
  const set = f.text(nft.NFTA_LOOKUP_SET);
  if (from === undefined || set === "") return undefined;
  const isVerdict = f.number(nft.NFTA_LOOKUP_DREG) === nft.NFT_REG_VERDICT;
  const to = isVerdict ? "verdict" : f.register(nft.NFTA_LOOKUP_DREG);
  const inverted = f.number(nft.NFTA_LOOKUP_FLAGS) === nft.NFT_LOOKUP_F_INV;
  return { kind: "lookup", set, from, to, ...(inverted ? { inverted } : {}) };
}

function noteOf(f: Fields): Expression | undefined {
  const set = f.text(nft.NFTA_DYNSET_SET_NAME);
  const from = f.register(nft.NFTA_DYNSET_SREG_KEY);
  if (f.number(nft.NFTA_DYNSET_OP) !== nft.NFT_DYNSET_OP_UPDATE) return undefined;
  return set === "" || from === undefined ? undefined : { kind: "note", set, from };
}

function limitOf(f: Fields): Expression | undefined {
  const rate = f.long(nft.NFTA_LIMIT_RATE);
  const burst = f.number(nft.NFTA_LIMIT_BURST);
  const isOurs =
    f.long(nft.NFTA_LIMIT_UNIT) === 1 &&
    f.number(nft.NFTA_LIMIT_TYPE) === nft.NFT_LIMIT_PKTS &&
    f.number(nft.NFTA_LIMIT_FLAGS) === nft.NFT_LIMIT_F_INV;
  if (!isOurs || rate === undefined || burst === undefined) return undefined;
  return { kind: "over-limit", rate, burst };
}

function natOf(f: Fields): Expression | undefined {
  const type = f.number(nft.NFTA_NAT_TYPE);
  const family = f.number(nft.NFTA_NAT_FAMILY);
  const address = f.register(nft.NFTA_NAT_REG_ADDR_MIN);
  const port = f.register(nft.NFTA_NAT_REG_PROTO_MIN);
  if (family === undefined || address === undefined) return undefined;
  if (type === nft.NFT_NAT_DNAT) return { kind: "dnat", family, address, port };
  if (type !== nft.NFT_NAT_SNAT || port !== undefined) return undefined;
  return { kind: "snat", family, address };
}

function immediateOf(f: Fields): Expression | undefined {
  if (f.number(nft.NFTA_IMMEDIATE_DREG) === nft.NFT_REG_VERDICT) {
    const { code, chain } = f.verdict(nft.NFTA_IMMEDIATE_DATA);
    const verdict = keyOf(VERDICTS, code);
    if (verdict !== undefined) return { kind: "verdict", verdict };
    const kind = keyOf(CHAIN_VERDICTS, code);
    return kind && chain !== "" ? { kind, chain } : undefined;
  }
  const to = f.register(nft.NFTA_IMMEDIATE_DREG);
  const value = f.value(nft.NFTA_IMMEDIATE_DATA);
  return to !== undefined && value ? { kind: "load", to, value } : undefined;
}

/** The attributes of one expression, by type. */
class Fields {
  readonly #bounds = new Map<number, readonly [number, number]>();
  constructor(private readonly bytes: Buffer) {}

  read(from: number, to: number): boolean {
    return eachAttribute(this.bytes, from, to, (type, start, end) => {
      this.#bounds.set(type, [start, end]);
    });
  }

  number(type: number): number | undefined {
    const [from, to] = this.#bounds.get(type) ?? [0, 0];
    return to - from === 4 ? this.bytes.readUInt32BE(from) : undefined;
  }

  /** The kernel shows a register at a boundary of 16 bytes by its old number, 1 to 4. */
  register(type: number): Register | undefined {
    const number = this.number(type);
    if (number === undefined) return undefined;
    if (number >= 1 && number <= 4) return (number - 1) * 4;
    if (number < nft.NFT_REG32_00 || number > nft.NFT_REG32_15) return undefined;
    return number - nft.NFT_REG32_00;
  }

  text(type: number): string {
    const [from, to] = this.#bounds.get(type) ?? [0, 0];
    return readText(this.bytes, from, to);
  }

  value(type: number): Uint8Array | undefined {
    const [from, to] = this.#bounds.get(type) ?? [0, 0];
    return decodeData(this.bytes, from, to);
  }

  /** 64 bits, as far as a number is exact. */
  long(type: number): number | undefined {
    const [from, to] = this.#bounds.get(type) ?? [0, 0];
    return to - from === 8 ? Number(this.bytes.readBigUInt64BE(from)) : undefined;
  }

  byte(type: number): number | undefined {
    const [from, to] = this.#bounds.get(type) ?? [0, 0];
    return to - from === 1 ? this.bytes.readUInt8(from) : undefined;
  }

  verdict(type: number): Verdict {
    const [from, to] = this.#bounds.get(type) ?? [0, 0];
    return decodeVerdict(this.bytes, from, to);
  }
}

export interface Verdict {
  readonly code: number | undefined;
  /** Empty: it goes to none. */
  readonly chain: string;
}

export function decodeVerdict(bytes: Buffer, from: number, to: number): Verdict {
  let code: number | undefined;
  let chain = "";
  eachAttribute(bytes, from, to, (outer, start, end) => {
    if (outer !== nft.NFTA_DATA_VERDICT) return;
    eachAttribute(bytes, start, end, (inner, at, until) => {
      if (inner === nft.NFTA_VERDICT_CODE && until - at === 4) code = bytes.readUInt32BE(at);
      else if (inner === nft.NFTA_VERDICT_CHAIN) chain = readText(bytes, at, until);
    });
  });
  return { code, chain };
}

export function decodeData(bytes: Buffer, from: number, to: number): Uint8Array | undefined {
  let value: Uint8Array | undefined;
  eachAttribute(bytes, from, to, (type, start, end) => {
    if (type === nft.NFTA_DATA_VALUE) value = new Uint8Array(bytes.subarray(start, end));
  });
  return value;
}

function keyOf<K extends string>(
  table: Readonly<Record<K, number>>,
  number: number | undefined,
): K | undefined {
  for (const key in table) if (table[key] === number) return key;
  return undefined;
}

/** What the first counter of a rule has counted; undefined: there is none. */
export function decodeCounter(bytes: Buffer, from: number, to: number): number | undefined {
  let packets: number | undefined;
  eachAttribute(bytes, from, to, (_type, start, end) => {
    packets ??= counterOf(bytes, start, end);
  });
  return packets;
}

/** What it has counted, if the expression is a counter. */
export function counterOf(bytes: Buffer, from: number, to: number): number | undefined {
  let name = "";
  let bounds: readonly [number, number] = [0, 0];
  eachAttribute(bytes, from, to, (type, start, end) => {
    if (type === nft.NFTA_EXPR_NAME) name = readText(bytes, start, end);
    else if (type === nft.NFTA_EXPR_DATA) bounds = [start, end];
  });
  const fields = new Fields(bytes);
  if (name !== "counter" || !fields.read(...bounds)) return undefined;
  return fields.long(nft.NFTA_COUNTER_PACKETS);
}
