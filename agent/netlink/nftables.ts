// nf_tables: tables, chains, rules, maps and their elements, as the kernel is asked for them. A change is a batch
// of requests between a beginning and an end; the kernel takes all of it or nothing. nftables-decode.ts reads dumps.
//
//   0      1        2               4
//   +------+--------+---------------+-------------
//   |family| version| resource id   | attributes…      struct nfgenmsg; the resource id in network byte order
//   +------+--------+---------------+-------------
import { NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP } from "./constants.js";
import * as nft from "./nftables-constants.js";
import {
  type Expression,
  writeData,
  writeExpressions,
  writeVerdict,
} from "./nftables-expression.js";
import type { NetlinkWriter } from "./writer.js";

export interface TableRef {
  /** NFPROTO_*. */
  readonly family: number;
  readonly table: string;
}

export interface BaseChain {
  readonly name: string;
  readonly type: "filter" | "nat" | "route";
  /** NF_INET_*, of the family netdev NF_NETDEV_*. */
  readonly hook: number;
  readonly priority: number;
  readonly policy: "accept" | "drop";
  /** Of the family netdev only: the interfaces, which must be there. */
  readonly devices?: readonly string[];
}

/** Keys and values of fixed length. The types only tell `nft` how to print them. */
export interface MapShape {
  readonly name: string;
  /**
   * `set`: keys alone. `verdicts`: the value is a chain to go to. `noted`: a set whose keys come by rules (`note`), at
   * most NOTED_MAX, and go NOTED_MS after the last. Of these, dataType and dataBytes are 0.
   */
  readonly kind: "set" | "map" | "verdicts" | "noted";
  readonly keyType: number;
  readonly keyBytes: number;
  readonly dataType: number;
  readonly dataBytes: number;
}

// Choices: as many as a person reads, a hundred bytes of the kernel's each; as long as somebody may still ask.
export const NOTED_MAX = 128;
const NOTED_MS = 600_000;

export interface Element {
  readonly key: Uint8Array;
  /** Empty, unless of a map. */
  readonly data: Uint8Array;
  /** Of verdicts only: where it goes to. */
  readonly chain?: string;
  /** Of what is noted only, and only as found: how many packets. */
  readonly packets?: number;
}

// ---- A batch -----------------------------------------------------------------------------------

/** With `generation`, the kernel refuses all of it (ERESTART) when the rules have changed since. */
export function batchBegin(writer: NetlinkWriter, generation: number | undefined): void {
  writer.message(nft.NFNL_MSG_BATCH_BEGIN, 0, () => {
    header(writer, 0, nft.NFNL_SUBSYS_NFTABLES);
    if (generation !== undefined) writer.attributeU32be(nft.NFNL_BATCH_GENID, generation);
  });
}

export function batchEnd(writer: NetlinkWriter): void {
  writer.message(nft.NFNL_MSG_BATCH_END, 0, () => header(writer, 0, nft.NFNL_SUBSYS_NFTABLES));
}

/** Being there already is no error. */
export function putTable(writer: NetlinkWriter, { family, table }: TableRef): void {
  request(writer, nft.NFT_MSG_NEWTABLE, NLM_F_CREATE, family, () =>
    writer.attributeText(nft.NFTA_TABLE_NAME, table),
  );
}

/** With all in it; ENOENT if there is none. */
export function deleteTable(writer: NetlinkWriter, { family, table }: TableRef): void {
  request(writer, nft.NFT_MSG_DELTABLE, 0, family, () =>
    writer.attributeText(nft.NFTA_TABLE_NAME, table),
  );
}

/** Without `base` it is one that is only jumped to. Being there already is no error. */
export function putChain(
  writer: NetlinkWriter,
  at: TableRef,
  name: string,
  base?: Omit<BaseChain, "name">,
): void {
  request(writer, nft.NFT_MSG_NEWCHAIN, NLM_F_CREATE, at.family, () => {
    writer.attributeText(nft.NFTA_CHAIN_TABLE, at.table);
    writer.attributeText(nft.NFTA_CHAIN_NAME, name);
    if (base === undefined) return;
    writer.nest(nft.NFTA_CHAIN_HOOK, () => {
      writer.attributeU32be(nft.NFTA_HOOK_HOOKNUM, base.hook);
      writer.attributeU32be(nft.NFTA_HOOK_PRIORITY, base.priority);
      writeDevices(writer, base.devices ?? []);
    });
    const policy = base.policy === "accept" ? nft.NF_ACCEPT : nft.NF_DROP;
    writer.attributeU32be(nft.NFTA_CHAIN_POLICY, policy);
    writer.attributeText(nft.NFTA_CHAIN_TYPE, base.type);
  });
}

/** One has an attribute of its own, which older kernels know too. */
function writeDevices(writer: NetlinkWriter, devices: readonly string[]): void {
  const [first] = devices;
  if (first !== undefined && devices.length === 1) writer.attributeText(nft.NFTA_HOOK_DEV, first);
  if (devices.length < 2) return;
  writer.nest(nft.NFTA_HOOK_DEVS, () => {
    for (const device of devices) writer.attributeText(nft.NFTA_DEVICE_NAME, device);
  });
}

/** With its rules; EBUSY while something goes to it. */
export function deleteChain(writer: NetlinkWriter, at: TableRef, name: string): void {
  request(writer, nft.NFT_MSG_DELCHAIN, 0, at.family, () => {
    writer.attributeText(nft.NFTA_CHAIN_TABLE, at.table);
    writer.attributeText(nft.NFTA_CHAIN_NAME, name);
  });
}

/** All rules of the chain. */
export function deleteRules(writer: NetlinkWriter, at: TableRef, chain: string): void {
  request(writer, nft.NFT_MSG_DELRULE, 0, at.family, () => {
    writer.attributeText(nft.NFTA_RULE_TABLE, at.table);
    writer.attributeText(nft.NFTA_RULE_CHAIN, chain);
  });
}

/** At the end of the chain. */
export function appendRule(
  writer: NetlinkWriter,
  at: TableRef,
  rule: {
    readonly chain: string;
    readonly expressions: readonly Expression[];
    readonly comment: string;
  },
): void {
  request(writer, nft.NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, at.family, () => {
    writer.attributeText(nft.NFTA_RULE_TABLE, at.table);
    writer.attributeText(nft.NFTA_RULE_CHAIN, rule.chain);
    writeExpressions(writer, rule.expressions);
    writer.attribute(nft.NFTA_RULE_USERDATA, commentBytes(rule.comment));
  });
}

const SET_FLAGS = {
  set: 0,
  map: nft.NFT_SET_MAP,
  verdicts: nft.NFT_SET_MAP,
  noted: nft.NFT_SET_EVAL | nft.NFT_SET_TIMEOUT,
} as const;

export function putMap(writer: NetlinkWriter, at: TableRef, map: MapShape): void {
  request(writer, nft.NFT_MSG_NEWSET, NLM_F_CREATE, at.family, () => {
    writer.attributeText(nft.NFTA_SET_TABLE, at.table);
    writer.attributeText(nft.NFTA_SET_NAME, map.name);
    writer.attributeU32be(nft.NFTA_SET_FLAGS, SET_FLAGS[map.kind]);
    writer.attributeU32be(nft.NFTA_SET_KEY_TYPE, map.keyType);
    writer.attributeU32be(nft.NFTA_SET_KEY_LEN, map.keyBytes);
    if (map.kind === "verdicts") {
      writer.attributeU32be(nft.NFTA_SET_DATA_TYPE, nft.NFT_DATA_VERDICT);
    } else if (map.kind === "map") {
      writer.attributeU32be(nft.NFTA_SET_DATA_TYPE, map.dataType);
      writer.attributeU32be(nft.NFTA_SET_DATA_LEN, map.dataBytes);
    }
    if (map.kind === "noted") {
      writer.attributeU64be(nft.NFTA_SET_TIMEOUT, BigInt(NOTED_MS));
      writer.nest(nft.NFTA_SET_DESC, () =>
        writer.attributeU32be(nft.NFTA_SET_DESC_SIZE, NOTED_MAX),
      );
    }
    // Names the map within the batch, which only anonymous ones need; the kernel asks for it all the same.
    writer.attributeU32be(nft.NFTA_SET_ID, 1);
  });
}

export function deleteMap(writer: NetlinkWriter, at: TableRef, name: string): void {
  request(writer, nft.NFT_MSG_DELSET, 0, at.family, () => {
    writer.attributeText(nft.NFTA_SET_TABLE, at.table);
    writer.attributeText(nft.NFTA_SET_NAME, name);
  });
}

/** EEXIST if the key is there with another value. */
export function putElements(
  writer: NetlinkWriter,
  at: TableRef,
  map: string,
  elements: readonly Element[],
): void {
  changeElements(writer, nft.NFT_MSG_NEWSETELEM, NLM_F_CREATE, at, map, elements);
}

/** ENOENT if one is not there. */
export function deleteElements(
  writer: NetlinkWriter,
  at: TableRef,
  map: string,
  elements: readonly Element[],
): void {
  changeElements(writer, nft.NFT_MSG_DELSETELEM, 0, at, map, elements);
}

// An attribute's length has 16 bits, and an element takes up to about 80 bytes of the list.
const ELEMENTS_A_MESSAGE = 500;

function changeElements(
  writer: NetlinkWriter,
  message: number,
  flags: number,
  at: TableRef,
  map: string,
  elements: readonly Element[],
): void {
  for (let from = 0; from < elements.length; from += ELEMENTS_A_MESSAGE) {
    request(writer, message, flags, at.family, () => {
      writer.attributeText(nft.NFTA_SET_ELEM_LIST_TABLE, at.table);
      writer.attributeText(nft.NFTA_SET_ELEM_LIST_SET, map);
      writer.nest(nft.NFTA_SET_ELEM_LIST_ELEMENTS, () => {
        for (const { key, data, chain } of elements.slice(from, from + ELEMENTS_A_MESSAGE)) {
          writer.nest(nft.NFTA_LIST_ELEM, () => {
            writeData(writer, nft.NFTA_SET_ELEM_KEY, key);
            if (chain !== undefined) {
              writeVerdict(writer, nft.NFTA_SET_ELEM_DATA, nft.NFT_GOTO, chain);
            } else if (data.length > 0) writeData(writer, nft.NFTA_SET_ELEM_DATA, data);
          });
        }
      });
    });
  }
}

// ---- Dumps -------------------------------------------------------------------------------------

/** Answered with one NEWGEN: a number that every change by anybody raises. */
export function getGeneration(writer: NetlinkWriter): void {
  ask(writer, nft.NFT_MSG_GETGEN, NLM_F_ACK, 0, () => {});
}

export function dumpChains(writer: NetlinkWriter, family: number): void {
  ask(writer, nft.NFT_MSG_GETCHAIN, NLM_F_DUMP, family, () => {});
}

export function dumpRules(writer: NetlinkWriter, at: TableRef): void {
  ask(writer, nft.NFT_MSG_GETRULE, NLM_F_DUMP, at.family, () =>
    writer.attributeText(nft.NFTA_RULE_TABLE, at.table),
  );
}

export function dumpMaps(writer: NetlinkWriter, at: TableRef): void {
  ask(writer, nft.NFT_MSG_GETSET, NLM_F_DUMP, at.family, () =>
    writer.attributeText(nft.NFTA_SET_TABLE, at.table),
  );
}

export function dumpElements(writer: NetlinkWriter, at: TableRef, map: string): void {
  ask(writer, nft.NFT_MSG_GETSETELEM, NLM_F_DUMP, at.family, () => {
    writer.attributeText(nft.NFTA_SET_ELEM_LIST_TABLE, at.table);
    writer.attributeText(nft.NFTA_SET_ELEM_LIST_SET, map);
  });
}

// ---- Own ---------------------------------------------------------------------------------------

/** Part of a batch. */
function request(
  writer: NetlinkWriter,
  message: number,
  flags: number,
  family: number,
  fields: () => void,
): void {
  ask(writer, message, flags | NLM_F_ACK, family, fields);
}

function ask(
  writer: NetlinkWriter,
  message: number,
  flags: number,
  family: number,
  fields: () => void,
): void {
  writer.message((nft.NFNL_SUBSYS_NFTABLES << 8) | message, flags, () => {
    header(writer, family, 0);
    fields();
  });
}

function header(writer: NetlinkWriter, family: number, resource: number): void {
  writer.u8(family);
  writer.u8(0);
  writer.u8(resource >> 8);
  writer.u8(resource & 0xff);
}

/** libnftnl's user data: type, length, value; a comment ends with NUL. */
function commentBytes(comment: string): Uint8Array {
  const text = Buffer.from(`${comment}\0`, "utf8");
  return Buffer.concat([Buffer.from([nft.NFTNL_UDATA_RULE_COMMENT, text.length]), text]);
}
