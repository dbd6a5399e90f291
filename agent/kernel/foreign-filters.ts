// Looks for other programs' packet filters that drop what this machine forwards. Only looks: nothing of theirs
// is ever changed.
import { closeSync, readFileSync } from "node:fs";
import { SystemError } from "../../common/libc.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import { dropsEverything, dumpChainRules, familyName } from "../netlink/foreign-chains.js";
import {
  decodeInfo,
  entriesRequest,
  infoRequest,
  policyDrops,
  XT_SO_GET_ENTRIES,
  XT_SO_GET_INFO,
} from "../netlink/legacy-tables.js";
import { dumpChains } from "../netlink/nftables.js";
import { NF_INET_FORWARD } from "../netlink/nftables-constants.js";
import { decodeChain, type FoundChain } from "../netlink/nftables-decode.js";
import { getsockoptBytes, SOCK_RAW, socket } from "./libc.js";
import { NetlinkError, type NetlinkSocket } from "./netlink-socket.js";

// linux/in.h, linux/in6.h
const IPPROTO_RAW = 255;
const LEGACY = [
  { family: 4, name: "ip", domain: AF_INET, level: 0, names: "/proc/net/ip_tables_names" },
  { family: 6, name: "ip6", domain: AF_INET6, level: 41, names: "/proc/net/ip6_tables_names" },
] as const;
const TABLE = "filter";

/** "ip filter FORWARD": chains of nf_tables, by a socket that belongs to the machine's namespace. */
export function foreignDrops(nftables: NetlinkSocket): string[] {
  return nftables
    .dump((writer) => dumpChains(writer, 0), decodeChain)
    .filter(({ base }) => base?.hook === NF_INET_FORWARD)
    .filter((chain) => familyName(chain.family) !== undefined && drops(nftables, chain))
    .map(({ family, table, name }) => `${familyName(family)} ${table} ${name}`);
}

function drops(nftables: NetlinkSocket, { family, table, name, base }: FoundChain): boolean {
  if (base?.policy === "drop") return true;
  try {
    const at = { family, table, chain: name };
    return nftables.dump((writer) => dumpChainRules(writer, at), dropsEverything).at(-1) ?? false;
  } catch (error) {
    // It went in between.
    if (error instanceof NetlinkError) return false;
    throw error;
  }
}

/**
 * The same of iptables-legacy, whose rules nf_tables does not show. Runs in the machine's namespace. Asking for a
 * table makes it, so only those that are there are asked for.
 */
export function legacyDrops(): string[] {
  return LEGACY.filter((each) => isThere(each.names) && legacyPolicyDrops(each)).map(
    ({ name }) => `${name} ${TABLE} FORWARD (iptables-legacy)`,
  );
}

function isThere(names: string): boolean {
  try {
    return readFileSync(names, "latin1").split("\n").includes(TABLE);
  } catch {
    return false;
  }
}

function legacyPolicyDrops({ family, domain, level }: (typeof LEGACY)[number]): boolean {
  let fd: number | undefined;
  try {
    fd = socket(domain, SOCK_RAW, IPPROTO_RAW);
    const asked = infoRequest(TABLE);
    getsockoptBytes(fd, level, XT_SO_GET_INFO, asked);
    const info = decodeInfo(asked);
    if (info === undefined) return false;
    const entries = entriesRequest(TABLE, info);
    getsockoptBytes(fd, level, XT_SO_GET_ENTRIES, entries);
    return policyDrops(entries, info, family);
  } catch (error) {
    // Changed between the two questions (EAGAIN), or not to be had here: the next look asks again.
    if (error instanceof SystemError) return false;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
