// Other programs' packet filters, as far as they stand in the way of what this machine forwards: base chains
// of nf_tables whose policy, or whose last rule, drops all that no rule before it let through.
import { eachAttribute, readText } from "./attribute.js";
import { NLM_F_DUMP } from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import * as nft from "./nftables-constants.js";
import type { NetlinkWriter } from "./writer.js";

// netfilter.h: names of families as `nft` has them.
const FAMILIES: Readonly<Record<number, string>> = { 1: "inet", 2: "ip", 10: "ip6" };
const NFGENMSG_BYTES = 4;

/** Undefined for a family that carries no routed packets. */
export function familyName(family: number): string | undefined {
  return FAMILIES[family];
}

/** Of one chain alone: other programs' tables may be large. */
export function dumpChainRules(
  writer: NetlinkWriter,
  at: { readonly family: number; readonly table: string; readonly chain: string },
): void {
  const type = (nft.NFNL_SUBSYS_NFTABLES << 8) | nft.NFT_MSG_GETRULE;
  writer.message(type, NLM_F_DUMP, () => {
    writer.u8(at.family);
    for (let i = 0; i < 3; i++) writer.u8(0);
    writer.attributeText(nft.NFTA_RULE_TABLE, at.table);
    writer.attributeText(nft.NFTA_RULE_CHAIN, at.chain);
  });
}

/** Whether the rule drops or rejects whatever meets it; undefined: no rule. */
export function dropsEverything(message: NetlinkMessage): boolean | undefined {
  const { bytes, from, to, type } = message;
  if (type !== ((nft.NFNL_SUBSYS_NFTABLES << 8) | nft.NFT_MSG_NEWRULE)) return undefined;
  if (to - from < NFGENMSG_BYTES) return undefined;
  let isConditional = false;
  let drops = false;
  eachAttribute(bytes, from + NFGENMSG_BYTES, to, (attribute, start, end) => {
    if (attribute !== nft.NFTA_RULE_EXPRESSIONS) return;
    eachAttribute(bytes, start, end, (_list, at, until) => {
      const expression = readExpression(bytes, at, until);
      if (expression === "drops") drops = true;
      else if (expression === "other") isConditional = true;
    });
  });
  return drops && !isConditional;
}

function readExpression(bytes: Buffer, from: number, to: number): "drops" | "counts" | "other" {
  let name = "";
  let data: readonly [number, number] = [0, 0];
  eachAttribute(bytes, from, to, (type, start, end) => {
    if (type === nft.NFTA_EXPR_NAME) name = readText(bytes, start, end);
    else if (type === nft.NFTA_EXPR_DATA) data = [start, end];
  });
  if (name === "counter" || name === "log") return "counts";
  if (name === "reject") return "drops";
  return name === "immediate" && isDrop(bytes, ...data) ? "drops" : "other";
}

function isDrop(bytes: Buffer, from: number, to: number): boolean {
  let drop = false;
  eachAttribute(bytes, from, to, (field, start, end) => {
    if (field !== nft.NFTA_IMMEDIATE_DATA) return;
    eachAttribute(bytes, start, end, (kind, at, until) => {
      if (kind !== nft.NFTA_DATA_VERDICT) return;
      eachAttribute(bytes, at, until, (verdict, valueFrom, valueTo) => {
        if (verdict === nft.NFTA_VERDICT_CODE && valueTo - valueFrom === 4)
          drop = bytes.readUInt32BE(valueFrom) === nft.NF_DROP;
      });
    });
  });
  return drop;
}
