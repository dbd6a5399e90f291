// What iptables-legacy keeps in the kernel, as getsockopt(2) answers it: only as much as it takes to read the
// policy of FORWARD. nf_tables does not show these rules, and they drop all the same.
//
//   IPT_SO_GET_INFO      struct ipt_getinfo      name[32], valid_hooks, hook_entry[5], underflow[5], num_entries, size
//   IPT_SO_GET_ENTRIES   struct ipt_get_entries  name[32], size, (to a multiple of 8), entries of `size` bytes
//   an entry             struct ipt_entry        match[84 or 136], nfcache, target_offset, next_offset, …, target
//   a standard target    xt_standard_target      size, name[29], revision, verdict (negative: -1 - NF_*)
//
// The entry at underflow[hook] is the chain's policy. Sources: include/uapi/linux/netfilter_ipv4/ip_tables.h,
// netfilter_ipv6/ip6_tables.h, netfilter/x_tables.h. Numbers are in host byte order.

export const XT_SO_GET_INFO = 64;
export const XT_SO_GET_ENTRIES = 65;
const NAME_BYTES = 32;
const HOOKS = 5;
const NF_INET_FORWARD = 2;
const ENTRIES_AT = 40;
// struct ipt_ip, struct ip6t_ip6.
const MATCH_BYTES = { 4: 84, 6: 136 } as const;
const TARGET_HEADER_BYTES = 32;
const VERDICT_DROP = -1;
/** Choice: a table of 100,000 rules has about 16 MiB. A larger one is not read. */
const TABLE_BYTES_MAX = 16 * 1024 * 1024;

export const INFO_BYTES = NAME_BYTES + 4 * (1 + 2 * HOOKS + 2);

export interface LegacyInfo {
  /** Where the policy of FORWARD lies among the entries. */
  readonly policyAt: number;
  readonly sizeBytes: number;
}

export function infoRequest(table: string): Buffer {
  return named(table, INFO_BYTES);
}

/** Undefined: the table has no FORWARD, or is none. */
export function decodeInfo(info: Buffer): LegacyInfo | undefined {
  if (info.length < INFO_BYTES) return undefined;
  const hooks = info.readUInt32LE(NAME_BYTES);
  if ((hooks & (1 << NF_INET_FORWARD)) === 0) return undefined;
  const policyAt = info.readUInt32LE(NAME_BYTES + 4 * (1 + HOOKS + NF_INET_FORWARD));
  const sizeBytes = info.readUInt32LE(INFO_BYTES - 4);
  return sizeBytes > TABLE_BYTES_MAX || policyAt >= sizeBytes ? undefined : { policyAt, sizeBytes };
}

export function entriesRequest(table: string, { sizeBytes }: LegacyInfo): Buffer {
  const request = named(table, ENTRIES_AT + sizeBytes);
  request.writeUInt32LE(sizeBytes, NAME_BYTES);
  return request;
}

/** Whether the policy of FORWARD is to drop. */
export function policyDrops(entries: Buffer, { policyAt }: LegacyInfo, family: 4 | 6): boolean {
  const entry = ENTRIES_AT + policyAt;
  const offsetAt = entry + MATCH_BYTES[family] + 4;
  if (offsetAt + 2 > entries.length) return false;
  const verdictAt = entry + entries.readUInt16LE(offsetAt) + TARGET_HEADER_BYTES;
  if (verdictAt + 4 > entries.length) return false;
  return entries.readInt32LE(verdictAt) === VERDICT_DROP;
}

function named(table: string, bytes: number): Buffer {
  const request = Buffer.alloc(bytes);
  request.write(table, 0, NAME_BYTES - 1, "latin1");
  return request;
}
