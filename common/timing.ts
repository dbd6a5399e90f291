// Every wait that the program chooses for itself, in one place, so that a slow machine (an emulated VM
// runs 10 to 25 times slower) can stretch them all. What the swarm must agree on (heartbeat period,
// certificate life) is in ClusterSpec instead.

export interface Timing {
  /** Raft tick. Election after 10 to 15 ticks, heartbeat every third. */
  readonly raftTickMs: number;
  /** Connecting to another node, TLS included. */
  readonly dialMs: number;
  /** One unary request, end to end. */
  readonly requestMs: number;
  /** First and longest pause between attempts at the same thing. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** How often the kernel is looked at again with nothing known to have changed. */
  readonly resyncMs: number;
  /** From SIGTERM to SIGKILL for our own children. */
  readonly graceMs: number;
}

export const DEFAULT_TIMING: Timing = {
  raftTickMs: 100,
  dialMs: 4_000,
  requestMs: 10_000,
  retryMinMs: 100,
  retryMaxMs: 3_000,
  resyncMs: 10_000,
  graceMs: 10_000,
};

/** All of them times `factor` (1 to 100). */
export function stretched(timing: Timing, factor: number): Timing {
  return Object.fromEntries(
    Object.entries(timing).map(([key, ms]) => [key, Math.round(ms * factor)]),
  ) as unknown as Timing;
}
