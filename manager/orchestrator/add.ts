// New slots of a service that counts them: the lowest numbers that are free.
import type { Service } from "../../proto/gen/service.js";
import { Slot } from "./slots.js";
import type { Work } from "./work.js";

/** A number whose old task still stops is filled too; the new one is held back until it has. */
export function addSlots(
  work: Work,
  service: Service,
  count: number,
  all: readonly Slot[],
  kept: readonly Slot[],
  first = 1,
): readonly Slot[] {
  const known = new Map(all.map((slot) => [slot.number, slot]));
  const used = new Set(kept.map(({ number }) => number));
  const added: Slot[] = [];
  for (let number = first; added.length < count; number++) {
    if (used.has(number)) continue;
    if (!work.hasRoom()) break;
    const slot = known.get(number) ?? new Slot(work, number, "");
    slot.fill(service, 0);
    added.push(slot);
  }
  return added;
}
