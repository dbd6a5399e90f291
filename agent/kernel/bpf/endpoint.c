// A: what an endpoint sends, seen at its port in the network's namespace. A unicast frame for an endpoint of another
// node leaves here with its outer header on, across the pair to the underlay (underlay.c, leave). Whatever is not
// known for certain goes on as if nobody had looked: bridge and VXLAN device carry it.
#include "headers.h"
#include "tables.h"

// The loader writes the network's own VNI where this address is taken.
extern const char own_vni;
#define OWN_VNI ((__u32)(__u64)&own_vni)

// 50: Ethernet, IPv4, UDP, VXLAN.
#define ADDED_BYTES ((__s32)OUTER_BYTES(struct outer_ipv4))
// RFC 7348 section 4.1 leaves it open; Linux's vxlan has what ip_default_ttl is by default.
#define OUTER_TTL 64

// What of the inner packet is needed further on.
struct inner {
  struct ethhdr ethernet;
  __u8 tos;
  __u8 protocol;
  // Where its transport header begins, from the frame's beginning.
  __u32 transport;
};

INLINE int is_own_ipv4(const struct local *from, __u32 source) {
  return (from->flags & MAY_SEND_AS_ANYBODY) ||
         (source != 0 && (source == from->ipv4[0] || source == from->ipv4[1]));
}

INLINE int is_own_ipv6(const struct local *from, const struct address *source) {
  return (from->flags & MAY_SEND_AS_ANYBODY) || is_same(source, &from->ipv6[0]) ||
         is_same(source, &from->ipv6[1]);
}

// The reason to pass the frame on, or SENT.
INLINE enum reason read_ipv4(struct __sk_buff *skb, const struct local *from, struct inner *inner) {
  if (!has_bytes(skb, ETH_HLEN + sizeof(struct iphdr))) return PASSED_ODD_HEADER;
  const struct iphdr *ip = at(skb, ETH_HLEN);
  if (beyond(skb, ip + 1)) return PASSED_ODD_HEADER;
  if (ip->version != 4 || ip->ihl != 5 || (ip->frag_off & be16(IP_FRAGMENT)))
    return PASSED_ODD_HEADER;
  if (!is_own_ipv4(from, ip->saddr)) return PASSED_SOURCE_NOT_ITS_OWN;
  inner->tos = ip->tos;
  inner->protocol = ip->protocol;
  inner->transport = ETH_HLEN + sizeof(*ip);
  return SENT;
}

INLINE enum reason read_ipv6(struct __sk_buff *skb, const struct local *from, struct inner *inner) {
  // With the first byte behind it, which says what of ICMPv6 it is.
  if (!has_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr) + 1)) return PASSED_ODD_HEADER;
  const struct ipv6hdr *ip = at(skb, ETH_HLEN);
  const __u8 *type = (const void *)(ip + 1);
  if (beyond(skb, type + 1)) return PASSED_ODD_HEADER;
  // Extension headers (fragments among them) are rare, and reading them here would not be.
  if (ip->version != 6) return PASSED_ODD_HEADER;
  if (ip->nexthdr != IPPROTO_TCP && ip->nexthdr != IPPROTO_UDP && ip->nexthdr != ICMPV6)
    return PASSED_ODD_HEADER;
  // The bridge answers for the neighbours that it knows.
  if (ip->nexthdr == ICMPV6 && *type >= ND_FIRST && *type <= ND_LAST) return PASSED_NOT_UNICAST_IP;
  if (!is_own_ipv6(from, (const struct address *)&ip->saddr)) return PASSED_SOURCE_NOT_ITS_OWN;
  inner->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
  inner->protocol = ip->nexthdr;
  inner->transport = ETH_HLEN + sizeof(*ip);
  return SENT;
}

// Whether the frame, or each that it will be cut into, fits the underlay with the outer header on.
INLINE int fits(struct __sk_buff *skb, const struct inner *inner, __u32 mtu_bytes) {
  // The outer header's own length field has 16 bits, also while the frame is still whole.
  if (skb->len + ADDED_BYTES - ETH_HLEN > 0xffff) return 0;
  if (skb->gso_size == 0) return skb->len + ADDED_BYTES - ETH_HLEN <= mtu_bytes;
  __u32 header = sizeof(struct udphdr);
  if (inner->protocol == IPPROTO_TCP) {
    __u8 offset;
    // RFC 9293 section 3.1: the upper half of byte 12, in words of 4 bytes.
    if (load_bytes(skb, inner->transport + 12, &offset, 1)) return 0;
    header = (offset >> 4) * 4;
  } else if (inner->protocol != IPPROTO_UDP) {
    return 0;
  }
  return inner->transport + header + skb->gso_size + ADDED_BYTES - ETH_HLEN <= mtu_bytes;
}

// Linux's own choice (udp_flow_src_port): the same flow has the same port, so that no path reorders it.
INLINE __be16 source_port(const struct local *from, __u32 hash) {
  hash ^= hash << 16;
  __u16 port = from->source_first + (((__u64)hash * from->source_count) >> 32);
  return be16(port);
}

// RFC 6040 section 4.1: congestion is marked on the outside as the inside allows.
INLINE __u8 outer_tos(__u8 inner) {
  __u8 ecn = inner & ECN_MASK;
  return ecn == ECN_CE ? ECN_ECT0 : ecn;
}

INLINE int encapsulate(struct __sk_buff *skb, const struct local *from, const struct remote *to,
                       const struct inner *inner, __u16 sequence) {
  // Reckoned only where the sender's socket has not done so.
  const __u32 hash = skb->hash ? skb->hash : flow_hash(skb);
  // Whole, with the inner Ethernet header: the room is made behind the frame's own, which is overwritten.
  struct outer_ipv4 outer = {};
  outer.inner = inner->ethernet;
  __builtin_memcpy(outer.ethernet.h_dest, to->next_hop, ETH_ALEN);
  __builtin_memcpy(outer.ethernet.h_source, to->source, ETH_ALEN);
  outer.ethernet.h_proto = be16(ETH_P_IP);
  __u32 length = skb->len;
  outer.ip.version = 4;
  outer.ip.ihl = 5;
  outer.ip.tos = outer_tos(inner->tos);
  outer.ip.tot_len = be16((__u16)(length + ADDED_BYTES - ETH_HLEN));
  // It may be fragmented on its way, as Linux's vxlan has it: so it needs an identification, which is another one for
  // each frame of a flow.
  outer.ip.id = (__u16)(hash + sequence);
  outer.ip.ttl = OUTER_TTL;
  outer.ip.protocol = IPPROTO_UDP;
  outer.ip.saddr = from->vtep.word[3];
  outer.ip.daddr = to->vtep.word[3];
  outer.ip.check = ~ip_sum(&outer.ethernet + 1);
  outer.udp.source = source_port(from, hash);
  outer.udp.dest = from->to_port;
  outer.udp.len = be16((__u16)(length + sizeof(struct udphdr) + sizeof(struct vxlan)));
  outer.vxlan.flags = be32(VXLAN_I);
  outer.vxlan.vni = be32(OWN_VNI << 8);
  // Without counting VXLAN's own 8 bytes as layer 2: with them, batches are refused when they are to be cut.
  const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
                      BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) |
                      BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
  if (adjust_room(skb, ADDED_BYTES, BPF_ADJ_ROOM_MAC, flags)) return -1;
  // From here on there is no way back to the bridge; storing what there was just made room for does not fail. Written
  // in place it would cost each frame of a TCP connection a copy (the kernel takes all of it to be written).
  if (store_bytes(skb, 0, &outer.ethernet, WIRE_BYTES(struct outer_ipv4), 0)) return 1;
  return 0;
}

SEC("tc/endpoint") int from_endpoint(struct __sk_buff *skb) {
  const __u32 vni = OWN_VNI;
  const __u32 bytes = skb->len;
  const struct ethhdr *ethernet = at(skb, 0);
  if (skb->vlan_present || beyond(skb, ethernet + 1)) return pass_on(skb, vni, PASSED_ODD_HEADER);
  const int is_ipv4 = ethernet->h_proto == be16(ETH_P_IP);
  if ((ethernet->h_dest[0] & 1) || (!is_ipv4 && ethernet->h_proto != be16(ETH_P_IPV6)))
    return pass_on(skb, vni, PASSED_NOT_UNICAST_IP);
  struct inner inner = {.ethernet = *ethernet};

  struct mac_key key = {.vni = vni};
  __builtin_memcpy(key.mac, inner.ethernet.h_source, ETH_ALEN);
  const struct local *from = map_lookup(&locals, &key);
  if (from == 0 || from->port != skb->ifindex)
    return pass_on(skb, vni, PASSED_SOURCE_NOT_ITS_OWN);
  const enum reason why = is_ipv4 ? read_ipv4(skb, from, &inner) : read_ipv6(skb, from, &inner);
  if (why != SENT) return pass_on(skb, vni, why);

  __builtin_memcpy(key.mac, inner.ethernet.h_dest, ETH_ALEN);
  const struct remote *remote = map_lookup(&remotes, &key);
  if (remote == 0) {
    const struct local *to = map_lookup(&locals, &key);
    if (to == 0) return pass_on(skb, vni, PASSED_UNKNOWN_DESTINATION);
    change_type(skb, PACKET_HOST);
    count(vni, SENT_HERE, bytes);
    return redirect_peer(to->port, 0);
  }
  if (remote->ifindex == 0) return pass_on(skb, vni, PASSED_NO_NEXT_HOP);
  if (!fits(skb, &inner, remote->mtu_bytes)) return pass_on(skb, vni, PASSED_TOO_LARGE);
  struct counters *counters = map_lookup(&counts, &vni);
  if (counters == 0) return PASS_ON;
  const int problem = encapsulate(skb, from, remote, &inner, counters->frames[SENT]);
  if (problem < 0) return pass_on(skb, vni, PASSED_KERNEL_REFUSED);
  if (problem > 0) return DROP;
  add(counters, SENT, bytes);
  // For whom it meets on the other side, who is told nothing else.
  skb->mark = remote->ifindex;
  return redirect_peer(from->near, 0);
}
