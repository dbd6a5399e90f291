// What the programs count: how a frame went, or why it was left to the kernel path. The order is that of `enum reason`
// in agent/kernel/bpf/tables.h.
export const REASONS = [
  "sent",
  "sent-here",
  "received",
  "not-unicast-ip",
  "odd-header",
  "source-not-its-own",
  "unknown-destination",
  "no-next-hop",
  "too-large",
  "kernel-refused",
  "outer-odd",
  "wrong-peer",
  "unknown-receiver",
  "forwarded-batch",
] as const;
export type Reason = (typeof REASONS)[number];
/** How many of them are frames that the programs carried themselves. */
const CARRIED = 3;

export interface Counted {
  readonly frames: number;
  readonly bytes: number;
}
export type Counts = Readonly<Record<Reason, Counted>>;

/** struct counters. */
export const COUNTERS_BYTES = REASONS.length * 16;

/** Whether frames counted so were carried by the programs; else they were passed on to the kernel path. */
export function isCarried(reason: Reason): boolean {
  return REASONS.indexOf(reason) < CARRIED;
}

/** The sum over all CPUs of one network's row of `counts`. */
export function countsOf(value: string): Counts {
  const bytes = Buffer.from(value, "latin1");
  const sums = REASONS.map(() => ({ frames: 0, bytes: 0 }));
  for (let cpu = 0; cpu + COUNTERS_BYTES <= bytes.length; cpu += COUNTERS_BYTES) {
    for (const [i, sum] of sums.entries()) {
      sum.frames += Number(bytes.readBigUInt64LE(cpu + 8 * i));
      sum.bytes += Number(bytes.readBigUInt64LE(cpu + 8 * (REASONS.length + i)));
    }
  }
  return Object.fromEntries(REASONS.map((reason, i) => [reason, sums[i]])) as unknown as Counts;
}
