// The expressions that our rules are made of: small programs over registers of 32 bits. Numbers of
// expressions travel in network byte order; what a register holds is said with each.
import * as nft from "./nftables-constants.js";
import type { NetlinkWriter } from "./writer.js";

/** A 32-bit register, 0 to 15. A value of several words lies in as many registers from this one on. */
export type Register = number;

export type Expression =
  /** `offset` and `bytes` are of the header. The rest of the last register is zero. */
  | {
      readonly kind: "payload";
      readonly header: "link" | "network" | "transport";
      readonly offset: number;
      readonly bytes: number;
      readonly to: Register;
    }
  /** Into the packet. Of the link's header only: it has no checksum that would have to follow. */
  | {
      readonly kind: "payload-set";
      readonly header: "link";
      readonly offset: number;
      readonly bytes: number;
      readonly from: Register;
    }
  /**
   * Interface names are 16 bytes, padded with zeros. `mark` is four bytes in host byte order, `nfproto` (NFPROTO_*)
   * and `l4proto` are one, `protocol` (ETH_P_*) is two in network byte order.
   */
  | {
      readonly kind: "meta";
      readonly key: "iifname" | "oifname" | "l4proto" | "nfproto" | "protocol" | "mark";
      readonly to: Register;
    }
  | { readonly kind: "meta-set"; readonly key: "mark"; readonly from: Register }
  /** Four bytes in host byte order; `direction` (IP_CT_DIR_*) is one. */
  | {
      readonly kind: "ct";
      readonly key: "state" | "status" | "mark" | "direction";
      readonly to: Register;
    }
  | { readonly kind: "ct-set"; readonly key: "mark"; readonly from: Register }
  /**
   * Of a packet that is not followed yet: flows of the same addresses and ports are told apart by the first two bytes
   * of the register. Answers are not: what would be the same there is given another port.
   */
  | { readonly kind: "ct-zone"; readonly from: Register }
  /** The kind of the destination address (RTN_*), in host byte order. */
  | { readonly kind: "fib-daddr-type"; readonly to: Register }
  /** 0 to before `modulus`, by chance, as four bytes in host byte order. */
  | { readonly kind: "random"; readonly to: Register; readonly modulus: number }
  /** 0 to before `modulus`, Jenkins' hash of `bytes` from a register on, as four bytes in host byte order. */
  | {
      readonly kind: "hash";
      readonly from: Register;
      readonly bytes: number;
      readonly to: Register;
      readonly modulus: number;
      readonly seed: number;
    }
  /** (value & mask) ^ xor; mask and xor are equally long. */
  | {
      readonly kind: "bitwise";
      readonly from: Register;
      readonly to: Register;
      readonly mask: Uint8Array;
      readonly xor: Uint8Array;
    }
  /** The rule ends here unless it holds. */
  | {
      readonly kind: "cmp";
      readonly from: Register;
      readonly is: "equal" | "unequal";
      readonly value: Uint8Array;
    }
  | { readonly kind: "load"; readonly to: Register; readonly value: Uint8Array }
  /**
   * The rule ends here unless the set has the key; `to`: of a map, where the value goes; "verdict": it is done
   * at once. `inverted`, of a set: the rule ends here if the set has the key.
   */
  | {
      readonly kind: "lookup";
      readonly set: string;
      readonly from: Register;
      readonly to: Register | "verdict" | undefined;
      readonly inverted?: true;
    }
  /** Counts the key in a set that is `noted`. The rule ends here if there is no room for it. */
  | { readonly kind: "note"; readonly set: string; readonly from: Register }
  /** `family` is NFPROTO_IPV4 or NFPROTO_IPV6: packets of the other one are left alone. */
  | {
      readonly kind: "dnat";
      readonly family: number;
      readonly address: Register;
      /** Undefined: the port stays. */
      readonly port: Register | undefined;
    }
  | { readonly kind: "snat"; readonly family: number; readonly address: Register }
  | { readonly kind: "masquerade" }
  /** To this namespace itself, at the port in the register. */
  | { readonly kind: "redirect"; readonly port: Register }
  /** Tells the sender; in ICMP or ICMPv6, as the packet is. Only of the family inet. */
  | { readonly kind: "reject"; readonly with: RejectWith }
  | { readonly kind: "counter" }
  /**
   * The rule ends here unless more packets than `rate` a second came by it, beside the `burst` that may come at once.
   * Both are at least 1.
   */
  | { readonly kind: "over-limit"; readonly rate: number; readonly burst: number }
  | { readonly kind: "verdict"; readonly verdict: "accept" | "drop" | "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

export type RejectWith = "tcp-reset" | keyof typeof REJECT_CODES;

/** Of NFT_REJECT_ICMPX_UNREACH. */
export const REJECT_CODES = {
  "no-route": nft.NFT_REJECT_ICMPX_NO_ROUTE,
  "port-unreachable": nft.NFT_REJECT_ICMPX_PORT_UNREACH,
  "host-unreachable": nft.NFT_REJECT_ICMPX_HOST_UNREACH,
  prohibited: nft.NFT_REJECT_ICMPX_ADMIN_PROHIBITED,
} as const;

export const HEADERS = {
  link: nft.NFT_PAYLOAD_LL_HEADER,
  network: nft.NFT_PAYLOAD_NETWORK_HEADER,
  transport: nft.NFT_PAYLOAD_TRANSPORT_HEADER,
} as const;
export const META_KEYS = {
  iifname: nft.NFT_META_IIFNAME,
  oifname: nft.NFT_META_OIFNAME,
  l4proto: nft.NFT_META_L4PROTO,
  nfproto: nft.NFT_META_NFPROTO,
  protocol: nft.NFT_META_PROTOCOL,
  mark: nft.NFT_META_MARK,
} as const;
export const CT_KEYS = {
  state: nft.NFT_CT_STATE,
  status: nft.NFT_CT_STATUS,
  mark: nft.NFT_CT_MARK,
  direction: nft.NFT_CT_DIRECTION,
} as const;
export const COMPARISONS = { equal: nft.NFT_CMP_EQ, unequal: nft.NFT_CMP_NEQ } as const;
export const VERDICTS = {
  accept: nft.NF_ACCEPT,
  drop: nft.NF_DROP,
  return: nft.NFT_RETURN,
} as const;
export const CHAIN_VERDICTS = { jump: nft.NFT_JUMP, goto: nft.NFT_GOTO } as const;

export function writeExpressions(writer: NetlinkWriter, list: readonly Expression[]): void {
  writer.nest(nft.NFTA_RULE_EXPRESSIONS, () => {
    for (const expression of list) {
      const [name, data] = partsOf(writer, expression);
      writer.nest(nft.NFTA_LIST_ELEM, () => {
        writer.attributeText(nft.NFTA_EXPR_NAME, name);
        writer.nest(nft.NFTA_EXPR_DATA, data);
      });
    }
  });
}

/** The value or key of a set's element, or of an expression. */
export function writeData(writer: NetlinkWriter, type: number, value: Uint8Array): void {
  writer.nest(type, () => writer.attribute(nft.NFTA_DATA_VALUE, value));
}

/** A verdict as the value of a set's element, or of an expression. */
export function writeVerdict(w: NetlinkWriter, type: number, code: number, chain?: string): void {
  w.nest(type, () =>
    w.nest(nft.NFTA_DATA_VERDICT, () => {
      w.attributeU32be(nft.NFTA_VERDICT_CODE, code);
      if (chain !== undefined) w.attributeText(nft.NFTA_VERDICT_CHAIN, chain);
    }),
  );
}

function partsOf(w: NetlinkWriter, e: Expression): readonly [string, () => void] {
  const number = (type: number, value: number) => w.attributeU32be(type, value);
  const register = (type: number, value: Register) => number(type, nft.NFT_REG32_00 + value);
  const verdict = (code: number, chain?: string) => {
    number(nft.NFTA_IMMEDIATE_DREG, nft.NFT_REG_VERDICT);
    writeVerdict(w, nft.NFTA_IMMEDIATE_DATA, code, chain);
  };
  switch (e.kind) {
    case "payload":
      return [
        "payload",
        () => {
          register(nft.NFTA_PAYLOAD_DREG, e.to);
          number(nft.NFTA_PAYLOAD_BASE, HEADERS[e.header]);
          number(nft.NFTA_PAYLOAD_OFFSET, e.offset);
          number(nft.NFTA_PAYLOAD_LEN, e.bytes);
        },
      ];
    case "payload-set":
      return [
        "payload",
        () => {
          register(nft.NFTA_PAYLOAD_SREG, e.from);
          number(nft.NFTA_PAYLOAD_BASE, HEADERS[e.header]);
          number(nft.NFTA_PAYLOAD_OFFSET, e.offset);
          number(nft.NFTA_PAYLOAD_LEN, e.bytes);
          number(nft.NFTA_PAYLOAD_CSUM_TYPE, nft.NFT_PAYLOAD_CSUM_NONE);
          number(nft.NFTA_PAYLOAD_CSUM_OFFSET, 0);
          number(nft.NFTA_PAYLOAD_CSUM_FLAGS, 0);
        },
      ];
    case "meta":
      return [
        "meta",
        () => {
          register(nft.NFTA_META_DREG, e.to);
          number(nft.NFTA_META_KEY, META_KEYS[e.key]);
        },
      ];
    case "ct":
      return [
        "ct",
        () => {
          register(nft.NFTA_CT_DREG, e.to);
          number(nft.NFTA_CT_KEY, CT_KEYS[e.key]);
        },
      ];
    case "meta-set":
      return [
        "meta",
        () => {
          register(nft.NFTA_META_SREG, e.from);
          number(nft.NFTA_META_KEY, META_KEYS[e.key]);
        },
      ];
    case "ct-set":
      return [
        "ct",
        () => {
          register(nft.NFTA_CT_SREG, e.from);
          number(nft.NFTA_CT_KEY, CT_KEYS[e.key]);
        },
      ];
    case "ct-zone":
      return [
        "ct",
        () => {
          register(nft.NFTA_CT_SREG, e.from);
          number(nft.NFTA_CT_KEY, nft.NFT_CT_ZONE);
          w.attributeU8(nft.NFTA_CT_DIRECTION, nft.IP_CT_DIR_ORIGINAL);
        },
      ];
    case "random":
      return [
        "numgen",
        () => {
          register(nft.NFTA_NG_DREG, e.to);
          number(nft.NFTA_NG_MODULUS, e.modulus);
          number(nft.NFTA_NG_TYPE, nft.NFT_NG_RANDOM);
          number(nft.NFTA_NG_OFFSET, 0);
        },
      ];
    case "hash":
      return [
        "hash",
        () => {
          register(nft.NFTA_HASH_SREG, e.from);
          register(nft.NFTA_HASH_DREG, e.to);
          number(nft.NFTA_HASH_LEN, e.bytes);
          number(nft.NFTA_HASH_MODULUS, e.modulus);
          number(nft.NFTA_HASH_SEED, e.seed);
          number(nft.NFTA_HASH_OFFSET, 0);
          number(nft.NFTA_HASH_TYPE, nft.NFT_HASH_JENKINS);
        },
      ];
    case "fib-daddr-type":
      return [
        "fib",
        () => {
          register(nft.NFTA_FIB_DREG, e.to);
          number(nft.NFTA_FIB_RESULT, nft.NFT_FIB_RESULT_ADDRTYPE);
          number(nft.NFTA_FIB_FLAGS, nft.NFTA_FIB_F_DADDR);
        },
      ];
    case "bitwise":
      return [
        "bitwise",
        () => {
          register(nft.NFTA_BITWISE_SREG, e.from);
          register(nft.NFTA_BITWISE_DREG, e.to);
          number(nft.NFTA_BITWISE_LEN, e.mask.length);
          writeData(w, nft.NFTA_BITWISE_MASK, e.mask);
          writeData(w, nft.NFTA_BITWISE_XOR, e.xor);
        },
      ];
    case "cmp":
      return [
        "cmp",
        () => {
          register(nft.NFTA_CMP_SREG, e.from);
          number(nft.NFTA_CMP_OP, COMPARISONS[e.is]);
          writeData(w, nft.NFTA_CMP_DATA, e.value);
        },
      ];
    case "load":
      return [
        "immediate",
        () => {
          register(nft.NFTA_IMMEDIATE_DREG, e.to);
          writeData(w, nft.NFTA_IMMEDIATE_DATA, e.value);
        },
      ];
    case "lookup":
      return [
        "lookup",
        () => {
          w.attributeText(nft.NFTA_LOOKUP_SET, e.set);
          register(nft.NFTA_LOOKUP_SREG, e.from);
          if (e.to === "verdict") number(nft.NFTA_LOOKUP_DREG, nft.NFT_REG_VERDICT);
          else if (e.to !== undefined) register(nft.NFTA_LOOKUP_DREG, e.to);
          if (e.inverted) number(nft.NFTA_LOOKUP_FLAGS, nft.NFT_LOOKUP_F_INV);
        },
      ];
    case "note":
      return [
        "dynset",
        () => {
          w.attributeText(nft.NFTA_DYNSET_SET_NAME, e.set);
          number(nft.NFTA_DYNSET_OP, nft.NFT_DYNSET_OP_UPDATE);
          register(nft.NFTA_DYNSET_SREG_KEY, e.from);
          w.nest(nft.NFTA_DYNSET_EXPR, () => {
            w.attributeText(nft.NFTA_EXPR_NAME, "counter");
            w.nest(nft.NFTA_EXPR_DATA, () => {});
          });
        },
      ];
    case "dnat":
      return [
        "nat",
        () => {
          number(nft.NFTA_NAT_TYPE, nft.NFT_NAT_DNAT);
          number(nft.NFTA_NAT_FAMILY, e.family);
          register(nft.NFTA_NAT_REG_ADDR_MIN, e.address);
          if (e.port !== undefined) register(nft.NFTA_NAT_REG_PROTO_MIN, e.port);
        },
      ];
    case "snat":
      return [
        "nat",
        () => {
          number(nft.NFTA_NAT_TYPE, nft.NFT_NAT_SNAT);
          number(nft.NFTA_NAT_FAMILY, e.family);
          register(nft.NFTA_NAT_REG_ADDR_MIN, e.address);
        },
      ];
    case "masquerade":
      return ["masq", () => {}];
    case "redirect":
      return ["redir", () => register(nft.NFTA_REDIR_REG_PROTO_MIN, e.port)];
    case "reject":
      return [
        "reject",
        () => {
          if (e.with === "tcp-reset") return number(nft.NFTA_REJECT_TYPE, nft.NFT_REJECT_TCP_RST);
          number(nft.NFTA_REJECT_TYPE, nft.NFT_REJECT_ICMPX_UNREACH);
          w.attributeU8(nft.NFTA_REJECT_ICMP_CODE, REJECT_CODES[e.with]);
        },
      ];
    case "counter":
      return ["counter", () => {}];
    case "over-limit":
      return [
        "limit",
        () => {
          w.attributeU64be(nft.NFTA_LIMIT_RATE, BigInt(e.rate));
          w.attributeU64be(nft.NFTA_LIMIT_UNIT, 1n);
          number(nft.NFTA_LIMIT_BURST, e.burst);
          number(nft.NFTA_LIMIT_TYPE, nft.NFT_LIMIT_PKTS);
          number(nft.NFTA_LIMIT_FLAGS, nft.NFT_LIMIT_F_INV);
        },
      ];
    case "verdict":
      return ["immediate", () => verdict(VERDICTS[e.verdict])];
    case "jump":
    case "goto":
      return ["immediate", () => verdict(CHAIN_VERDICTS[e.kind], e.chain)];
  }
}
