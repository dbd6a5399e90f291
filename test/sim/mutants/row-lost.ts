// A snapshot lacks its last row.
import { StoreSnapshot } from "../../../proto/gen/store.js";
import type { Mutant } from "./mutant.js";

export const rowLost: Mutant = {
  name: "row-lost",
  found: /has another state at index \d+/,
  seeds: 30,
  member: ({ store }) => {
    const snapshot = store.snapshot.bind(store);
    store.snapshot = () => {
      const whole = StoreSnapshot.decode(snapshot());
      return StoreSnapshot.encode({ ...whole, objects: whole.objects.slice(0, -1) }).finish();
    };
  },
};
