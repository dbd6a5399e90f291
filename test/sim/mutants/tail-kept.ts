// A tail that the leader replaces stays on the disk as it was: found when the manager starts from it.
import type { Mutant } from "./mutant.js";

export const tailKept: Mutant = {
  name: "tail-kept",
  found: /holds index \d+ of term \d+ to be committed; it is of \d+/,
  seeds: 120,
  disk: (disk) => {
    const persist = disk.persist.bind(disk);
    disk.persist = (hardState, entries) =>
      persist(
        hardState,
        entries.filter(({ index }) => disk.termAt(index) === 0),
      );
  },
};
