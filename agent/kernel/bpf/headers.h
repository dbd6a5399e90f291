// The headers as they are on the wire, RFC 7348 section 5 for the outermost order.
#pragma once
#include "helpers.h"
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

// RFC 7348 section 5: flag I, and the VNI in the upper 24 bits. All else is zero when sent and ignored when received.
struct vxlan {
  __be32 flags;
  __be32 vni;
};
#define VXLAN_I 0x08000000

#define ALIGNED __attribute__((packed, aligned(4)))
// Without the first two bytes, and without those that alignment leaves at the end.
#define OUTER_BYTES(type) (__builtin_offsetof(type, inner) - __builtin_offsetof(type, ethernet))
#define WIRE_BYTES(type) (OUTER_BYTES(type) + sizeof(struct ethhdr))

// Two bytes first, so that all behind the Ethernet header is aligned; they are not on the wire.
struct outer_ipv4 {
  __u16 unused;
  struct ethhdr ethernet;
  struct iphdr ip;
  struct udphdr udp;
  struct vxlan vxlan;
  struct ethhdr inner;
} ALIGNED;

struct outer_ipv6 {
  __u16 unused;
  struct ethhdr ethernet;
  struct ipv6hdr ip;
  struct udphdr udp;
  struct vxlan vxlan;
  struct ethhdr inner;
} ALIGNED;

// What follows the outer IP header, of either family.
struct wrapped {
  struct udphdr udp;
  struct vxlan vxlan;
  struct ethhdr inner;
} ALIGNED;

// linux/ip.h has it for the kernel alone: more fragments, and the offset.
#define IP_FRAGMENT 0x3fff
// RFC 3168 section 5.
#define ECN_MASK 3
#define ECN_ECT0 2
#define ECN_CE 3

#define ICMPV6 58
// RFC 4861 section 4: router solicitation to redirect.
#define ND_FIRST 133
#define ND_LAST 137

INLINE __u16 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// Of a header without options; of a whole one it is 0xffff.
INLINE __u16 ip_sum(const void *ip) {
  const __u32 *word = ip;
  return fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]);
}
