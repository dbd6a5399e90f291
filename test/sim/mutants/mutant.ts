// A seeded bug: a small swap at a seam of the simulated swarm, so that an invariant fails and is seen to (docs/simulator.md).
// Nothing of what is shipped is touched: what stands at the seam is replaced on the instance.
import type { Member } from "../../../manager/member.js";
import type { SimDisk } from "../swarm/disk.js";
import type { MachineClock, VirtualTime } from "../swarm/time.js";
import type { Wires } from "../swarm/wires.js";

export interface Mutant {
  /** For `scripts/soak --mutant`. */
  readonly name: string;
  /** How the invariant that it breaks says so. */
  readonly found: RegExp;
  /** It is found by one of the seeds up to this one. */
  readonly seeds: number;
  /** Each is called once for each that there is, before anything else happens to it. */
  readonly wires?: (wires: Wires) => void;
  readonly clock?: (clock: MachineClock) => void;
  readonly disk?: (disk: SimDisk) => void;
  /** After the event in which it opened. */
  readonly member?: (member: Member, time: VirtualTime) => void;
}
