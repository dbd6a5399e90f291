// What the switch counts of each network, in memory that is shared: each place has one writer, and is read at any time.

export const COUNTED = [
  "frames-out",
  "bytes-out",
  "frames-in",
  "bytes-in",
  // Of what comes from a TAP.
  /** Its destination is no endpoint of the network. */
  "unknown-destination",
  /** Its source is no endpoint of this node. */
  "not-from-here",
  "malformed",
  /** The underlay has no way for a packet of that size. */
  "too-big-out",
  /** The underlay refused it: no route, a packet filter, a full buffer. */
  "unsendable",
  // Of what comes from the wire.
  /** Its sender is no node of the network. */
  "not-a-peer",
  /** Its source is an endpoint that lives on another node than the one that sent it, or here. */
  "source-spoofed",
  /** Its sender is a node of the network, and its source no endpoint. */
  "unknown-source",
  /** Its destination is not on this node. */
  "not-here",
  /** It is longer than the network's MTU allows. */
  "too-big-in",
  /** The TAP did not take it. */
  "tap-refused",
] as const;
export type Counted = (typeof COUNTED)[number];

/** Of what cannot be said to be of any network. */
export const COUNTED_STRAY = ["not-vxlan", "unknown-vni"] as const;
export type CountedStray = (typeof COUNTED_STRAY)[number];

export type Counters = Float64Array<SharedArrayBuffer>;

export function newCounters(kinds: readonly string[] = COUNTED): Counters {
  return new Float64Array(new SharedArrayBuffer(kinds.length * 8));
}

/** Doubles count exactly up to 2^53. */
export function readCounters<Kind extends string>(
  counters: Counters,
  kinds: readonly Kind[],
): Readonly<Record<Kind, number>> {
  const entries = kinds.map((kind, i) => [kind, counters[i] ?? 0] as const);
  return Object.fromEntries(entries) as Record<Kind, number>;
}

// Numbers, because a name would be looked up for every frame.
const at = (kind: Counted): number => COUNTED.indexOf(kind);
export const FRAMES_OUT = at("frames-out");
export const BYTES_OUT = at("bytes-out");
export const FRAMES_IN = at("frames-in");
export const BYTES_IN = at("bytes-in");
export const UNKNOWN_DESTINATION = at("unknown-destination");
export const NOT_FROM_HERE = at("not-from-here");
export const MALFORMED = at("malformed");
export const TOO_BIG_OUT = at("too-big-out");
export const UNSENDABLE = at("unsendable");
export const NOT_A_PEER = at("not-a-peer");
export const SPOOFED = at("source-spoofed");
export const UNKNOWN_SOURCE = at("unknown-source");
export const NOT_HERE = at("not-here");
export const TOO_BIG_IN = at("too-big-in");
export const TAP_REFUSED = at("tap-refused");
export const NOT_VXLAN = 0;
export const UNKNOWN_VNI = 1;

export function count(counters: Float64Array, place: number, by = 1): void {
  counters[place] = (counters[place] ?? 0) + by;
}
