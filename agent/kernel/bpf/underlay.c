// B, C and D: the underlay's side. B: what the machine receives; a frame of a network that is here, from the node that
// its sender lives on, loses its outer header and crosses the pair into the network's namespace. C and D: the two ends
// of that pair, each on the side that frames arrive at; what is to become of a frame is in its mark.
#include "headers.h"
#include "tables.h"

// What the outer headers of both families say.
struct arrived {
  struct address from;
  struct address to;
  __be16 port;
  __be32 flags;
  __be32 vni;
  struct ethhdr inner;
  __u32 outer_bytes;
};

INLINE struct address mapped(__u32 ipv4) {
  return (struct address){{0, 0, be32(0xffff), ipv4}};
}

INLINE void unwrap(struct arrived *arrived, const struct wrapped *wrapped) {
  arrived->port = wrapped->udp.dest;
  arrived->flags = wrapped->vxlan.flags;
  arrived->vni = wrapped->vxlan.vni;
  arrived->inner = wrapped->inner;
}

INLINE int read_outer_ipv4(struct __sk_buff *skb, struct arrived *arrived) {
  if (!has_bytes(skb, WIRE_BYTES(struct outer_ipv4))) return -1;
  const struct iphdr *ip = at(skb, ETH_HLEN);
  const struct wrapped *wrapped = (const void *)(ip + 1);
  if (beyond(skb, &wrapped->inner + 1)) return -1;
  if (ip->version != 4 || ip->ihl != 5 || (ip->frag_off & be16(IP_FRAGMENT))) return -1;
  // RFC 6040 section 4.2: the kernel knows what becomes of congestion met on the way.
  if ((ip->tos & ECN_MASK) == ECN_CE) return -1;
  if (be16(ip->tot_len) + ETH_HLEN != skb->len || ip_sum(ip) != 0xffff) return -1;
  // Who sends a checksum wants it verified, which the kernel can.
  if (wrapped->udp.check != 0) return -1;
  if (be16(wrapped->udp.len) + sizeof(*ip) != be16(ip->tot_len)) return -1;
  arrived->from = mapped(ip->saddr);
  arrived->to = mapped(ip->daddr);
  unwrap(arrived, wrapped);
  arrived->outer_bytes = OUTER_BYTES(struct outer_ipv4);
  return 0;
}

INLINE int read_outer_ipv6(struct __sk_buff *skb, struct arrived *arrived) {
  if (!has_bytes(skb, WIRE_BYTES(struct outer_ipv6))) return -1;
  const struct ipv6hdr *ip = at(skb, ETH_HLEN);
  const struct wrapped *wrapped = (const void *)(ip + 1);
  if (beyond(skb, &wrapped->inner + 1)) return -1;
  if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP) return -1;
  if (((ip->priority << 4 | ip->flow_lbl[0] >> 4) & ECN_MASK) == ECN_CE) return -1;
  if (be16(ip->payload_len) + ETH_HLEN + sizeof(*ip) != skb->len) return -1;
  // RFC 8200 section 8.1: one without is for the kernel to refuse. RFC 7348 section 5: one that is there need not be
  // verified, and the inner packet has its own, which the endpoint verifies.
  if (wrapped->udp.check == 0 || wrapped->udp.len != ip->payload_len) return -1;
  __builtin_memcpy(&arrived->from, &ip->saddr, sizeof(arrived->from));
  __builtin_memcpy(&arrived->to, &ip->daddr, sizeof(arrived->to));
  unwrap(arrived, wrapped);
  arrived->outer_bytes = OUTER_BYTES(struct outer_ipv6);
  return 0;
}

// Neighbour discovery is for the bridge, which knows who may be asked about.
INLINE int is_discovery(struct __sk_buff *skb, __u32 begin) {
  __u8 protocol, type;
  if (load_bytes(skb, begin + __builtin_offsetof(struct ipv6hdr, nexthdr), &protocol, 1)) return 1;
  if (protocol != ICMPV6) return 0;
  if (load_bytes(skb, begin + sizeof(struct ipv6hdr), &type, 1)) return 1;
  return type >= ND_FIRST && type <= ND_LAST;
}

// Counted only if it is of a network that is here: the number may mean something else to somebody else's tunnel.
INLINE int let_go(struct __sk_buff *skb, const struct arrived *arrived, enum reason reason) {
  const __u32 vni = be32(arrived->vni) >> 8;
  const struct network *network = map_lookup(&networks, &vni);
  if (network == 0 || network->port != arrived->port) return PASS_ON;
  return pass_on(skb, vni, reason);
}

SEC("tc/underlay") int from_underlay(struct __sk_buff *skb) {
  const __u32 bytes = skb->len;
  const int is_ipv4 = skb->protocol == be16(ETH_P_IP);
  if (!is_ipv4 && skb->protocol != be16(ETH_P_IPV6)) return PASS_ON;
  if (skb->pkt_type != PACKET_HOST || skb->vlan_present) return PASS_ON;
  // Most of what a machine receives is not for us, and is let go after one byte.
  const __u32 protocol_at = ETH_HLEN + (is_ipv4 ? __builtin_offsetof(struct iphdr, protocol)
                                                : __builtin_offsetof(struct ipv6hdr, nexthdr));
  if (!has_bytes(skb, protocol_at + 1)) return PASS_ON;
  const __u8 *protocol = at(skb, protocol_at);
  if (beyond(skb, protocol + 1) || *protocol != IPPROTO_UDP) return PASS_ON;

  struct arrived arrived = {};
  if (is_ipv4 ? read_outer_ipv4(skb, &arrived) : read_outer_ipv6(skb, &arrived)) return PASS_ON;
  if (!(arrived.flags & be32(VXLAN_I))) return let_go(skb, &arrived, PASSED_OUTER_ODD);
  const __be16 inside = arrived.inner.h_proto;
  const int is_inner_ipv4 = inside == be16(ETH_P_IP);
  const __u32 shed = arrived.outer_bytes;
  if ((arrived.inner.h_dest[0] & 1) || (!is_inner_ipv4 && inside != be16(ETH_P_IPV6)))
    return let_go(skb, &arrived, PASSED_NOT_UNICAST_IP);

  const __u32 vni = be32(arrived.vni) >> 8;
  struct mac_key key = {.vni = vni};
  __builtin_memcpy(key.mac, arrived.inner.h_dest, ETH_ALEN);
  const struct local *to = map_lookup(&locals, &key);
  if (to == 0) return let_go(skb, &arrived, PASSED_UNKNOWN_RECEIVER);
  if (to->to_port != arrived.port) return PASS_ON;
  if (!is_same(&to->vtep, &arrived.to)) return let_go(skb, &arrived, PASSED_OUTER_ODD);
  if (!is_inner_ipv4 && is_discovery(skb, shed + ETH_HLEN))
    return let_go(skb, &arrived, PASSED_NOT_UNICAST_IP);
  // The sender must live on the very node that the frame came from.
  __builtin_memcpy(key.mac, arrived.inner.h_source, ETH_ALEN);
  const struct remote *remote = map_lookup(&remotes, &key);
  if (remote == 0 || !is_same(&remote->vtep, &arrived.from))
    return let_go(skb, &arrived, PASSED_WRONG_PEER);
  // A batch keeps its mark of having been in a tunnel, which a network card that it may leave by could take for true.
  if ((to->flags & FORWARDS) && skb->gso_size != 0)
    return let_go(skb, &arrived, PASSED_FORWARDED_BATCH);

  // Which family the packet is of from now on is told only where it changes: kernels before 6.3 refuse to hear it.
  __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
  if (is_inner_ipv4 != is_ipv4)
    flags |= is_inner_ipv4 ? ADJ_ROOM_DECAP_L3_IPV4 : ADJ_ROOM_DECAP_L3_IPV6;
  if (adjust_room(skb, -(__s32)shed, BPF_ADJ_ROOM_MAC, flags))
    return let_go(skb, &arrived, PASSED_KERNEL_REFUSED);
  if (store_bytes(skb, 0, &arrived.inner, sizeof(arrived.inner), 0)) return DROP;
  count(vni, RECEIVED, bytes - shed);
  skb->mark = to->port;
  return redirect_peer(to->far, 0);
}

// C: out to the node. Nothing but our own marked frames has any business on the pair.
SEC("tc/leave") int leave(struct __sk_buff *skb) {
  const __u32 ifindex = skb->mark;
  if (ifindex == 0) return DROP;
  skb->mark = 0;
  return redirect(ifindex, 0);
}

// D: into the endpoint's sandbox.
SEC("tc/enter") int enter(struct __sk_buff *skb) {
  const __u32 port = skb->mark;
  if (port == 0) return DROP;
  skb->mark = 0;
  return redirect_peer(port, 0);
}
