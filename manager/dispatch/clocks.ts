// How far the nodes' clocks are from this one, by what their heartbeats say. A heartbeat takes a while to come, so
// each one says too little of the sender's clock, and never too much: of the last few the greatest is nearest.

// Choice: a machine that is busy for a second or two is not behind.
const BEATS = 16;

export class Clocks {
  readonly #byNode = new Map<string, number[]>();

  /** `theirMs`: Unix milliseconds as the node had them when it sent; `ourMs`: ours when it came. */
  heard(nodeId: string, theirMs: number, ourMs: number): void {
    // It does not say: an agent of an earlier release.
    if (theirMs === 0) return;
    const beats = this.#byNode.get(nodeId) ?? [];
    beats.push(theirMs - ourMs);
    if (beats.length > BEATS) beats.shift();
    this.#byNode.set(nodeId, beats);
  }

  forget(nodeId: string): void {
    this.#byNode.delete(nodeId);
  }

  /** Negative: behind. Undefined: not known. */
  aheadMs(nodeId: string): number | undefined {
    const beats = this.#byNode.get(nodeId);
    return beats && Math.max(...beats);
  }
}
