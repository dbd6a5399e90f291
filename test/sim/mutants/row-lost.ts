// A snapshot lacks its last row.
import { StoreSnapshot } from "../../../proto/gen/store.js";
import type { Mutant } from "./mutant.js";

export const rowLost: Mutant = {
  name: "row-lost",
  found: /has another state at index \d+/,
  seeds: 30,
  member: ({ store }) => {
    const begin = store.snapshotSlices.bind(store);
    store.snapshotSlices = () => {
      const slices = begin();
      const next = (): IteratorResult<undefined, Buffer> => {
        const step = slices.next();
        return step.done === true ? { done: true, value: lacking(step.value) } : step;
      };
      return { next };
    };
  },
};

function lacking(snapshot: Buffer): Buffer {
  const whole = StoreSnapshot.decode(snapshot);
  return Buffer.from(
    StoreSnapshot.encode({ ...whole, objects: whole.objects.slice(0, -1) }).finish(),
  );
}
