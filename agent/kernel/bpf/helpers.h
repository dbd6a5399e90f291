// The few things of BPF that the programs need, by the kernel's own numbers (include/uapi/linux/bpf.h). Nothing of
// a library is linked in, and no type of a running kernel is known here.
#pragma once
#include <linux/bpf.h>
#include <linux/types.h>

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define unlikely(x) __builtin_expect(!!(x), 0)

// Read by agent/bpf/object.ts: five numbers a map.
struct map_definition {
  __u32 type;
  __u32 key_bytes;
  __u32 value_bytes;
  __u32 max_entries;
  __u32 flags;
};

static void *(*map_lookup)(const void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*store_bytes)(struct __sk_buff *, __u32 at, const void *from, __u32 bytes,
                           __u64 flags) = (void *)BPF_FUNC_skb_store_bytes;
static long (*pull_data)(struct __sk_buff *, __u32 bytes) = (void *)BPF_FUNC_skb_pull_data;
static long (*load_bytes)(const struct __sk_buff *, __u32 at, void *to,
                          __u32 bytes) = (void *)BPF_FUNC_skb_load_bytes;
static long (*change_type)(struct __sk_buff *, __u32 type) = (void *)BPF_FUNC_skb_change_type;
static __u32 (*flow_hash)(struct __sk_buff *) = (void *)BPF_FUNC_get_hash_recalc;
static long (*adjust_room)(struct __sk_buff *, __s32 bytes, __u32 mode,
                           __u64 flags) = (void *)BPF_FUNC_skb_adjust_room;
static long (*redirect)(__u32 ifindex, __u64 flags) = (void *)BPF_FUNC_redirect;
static long (*redirect_peer)(__u32 ifindex, __u64 flags) = (void *)BPF_FUNC_redirect_peer;

// A place in the frame, to be read there: cheaper than a copy, but only up to what `beyond` has been asked about.
INLINE const void *at(const struct __sk_buff *skb, __u32 offset) {
  return (const void *)(__u64)skb->data + offset;
}
INLINE int beyond(const struct __sk_buff *skb, const void *end) {
  return end > (const void *)(__u64)skb->data_end;
}

// Whether the frame's first bytes can be read in place, or could be brought there from a page of their own. Places from
// before are of no use any more.
INLINE int has_bytes(struct __sk_buff *skb, __u32 bytes) {
  return !beyond(skb, at(skb, bytes)) || pull_data(skb, bytes) == 0;
}

// Since 6.3; Debian 12's headers are older.
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

// Both architectures that Skein is built for are little-endian, as bpfel is.
#define be16(x) __builtin_bswap16(x)
#define be32(x) __builtin_bswap32(x)

// linux/pkt_cls.h: as if the program were not there, other programs of the hook included (tcx: TCX_NEXT).
#define PASS_ON -1
#define DROP 2
