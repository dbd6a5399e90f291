// What the agent tells the programs: agent/bpf/rows.ts writes the same bytes. Each key that a network's own
// word is part of begins with its VNI, so that two networks of one node never find each other's rows.
#pragma once
#include "helpers.h"

// Choice: as many as a node may be told of (docs: 100,000 endpoints in a swarm), and no memory is taken before it is used.
#define REMOTES_MAX 131072
#define LOCALS_MAX 16384
#define NETWORKS_MAX 4096

struct mac_key {
  __u32 vni;
  __u8 mac[6];
  __u16 zero;
};

// IPv4 as ::ffff:a.b.c.d.
struct address {
  __u32 word[4];
};

INLINE int is_same(const struct address *a, const struct address *b) {
  return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
         a->word[3] == b->word[3];
}

// Asked only about frames that are let go, which are counted if they are of a network that is here.
struct network {
  // Network byte order.
  __be16 port;
  __u16 zero;
};

#define MAY_SEND_AS_ANYBODY 1
#define FORWARDS 2

// An endpoint of this node, with what its frames need of its network: one row is read for both, as each look into a
// hash table costs a frame about 30 ns.
struct local {
  // ifindex of its port, in the network's namespace.
  __u32 port;
  __u32 flags;
  // Of the pair's ends: the near one in the network's namespace, the far one in the underlay's.
  __u32 near;
  __u32 far;
  struct address vtep;
  // The outer UDP ports: the one that is sent to, in network byte order; of those that are sent from the first, and how many.
  __be16 to_port;
  __u16 source_first;
  __u32 source_count;
  // Its addresses; zero: none.
  __u32 ipv4[2];
  struct address ipv6[2];
};

// An endpoint of another node, with how that node is reached.
struct remote {
  struct address vtep;
  // Of the device to send by; 0: the next hop is not known, or the underlay is not IPv4.
  __u32 ifindex;
  __u32 mtu_bytes;
  __u8 next_hop[6];
  __u8 source[6];
};

// In the order of agent/bpf/reasons.ts.
enum reason {
  SENT,
  SENT_HERE,
  RECEIVED,
  PASSED_NOT_UNICAST_IP,
  PASSED_ODD_HEADER,
  PASSED_SOURCE_NOT_ITS_OWN,
  PASSED_UNKNOWN_DESTINATION,
  PASSED_NO_NEXT_HOP,
  PASSED_TOO_LARGE,
  PASSED_KERNEL_REFUSED,
  PASSED_OUTER_ODD,
  PASSED_WRONG_PEER,
  PASSED_UNKNOWN_RECEIVER,
  PASSED_FORWARDED_BATCH,
  REASONS,
};

struct counters {
  __u64 frames[REASONS];
  __u64 bytes[REASONS];
};

#define MAP(name, kind, key, value, entries)                                    \
  struct map_definition SEC("maps") name = {                                    \
      .type = kind,                                                             \
      .key_bytes = sizeof(key),                                                 \
      .value_bytes = sizeof(value),                                             \
      .max_entries = entries,                                                   \
      .flags = BPF_F_NO_PREALLOC,                                               \
  }

MAP(networks, BPF_MAP_TYPE_HASH, __u32, struct network, NETWORKS_MAX);
MAP(locals, BPF_MAP_TYPE_HASH, struct mac_key, struct local, LOCALS_MAX);
MAP(remotes, BPF_MAP_TYPE_HASH, struct mac_key, struct remote, REMOTES_MAX);
MAP(counts, BPF_MAP_TYPE_PERCPU_HASH, __u32, struct counters, NETWORKS_MAX);

// Per CPU and not interrupted by another frame of the same CPU, so nothing here is atomic.
INLINE void add(struct counters *counters, enum reason reason, __u32 bytes) {
  counters->frames[reason]++;
  counters->bytes[reason] += bytes;
}

INLINE void count(__u32 vni, enum reason reason, __u32 bytes) {
  struct counters *counters = map_lookup(&counts, &vni);
  if (counters != 0) add(counters, reason, bytes);
}

INLINE int pass_on(struct __sk_buff *skb, __u32 vni, enum reason reason) {
  count(vni, reason, skb->len);
  return PASS_ON;
}
