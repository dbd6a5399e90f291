// A write is said to be durable as soon as it is asked for; it is done after.
import type { Mutant } from "./mutant.js";

export const earlyFsync: Mutant = {
  name: "early-fsync",
  found: /index \d+ is committed, and on \d of \d, \d of \d disks/,
  seeds: 30,
  disk: (disk) => {
    const persist = disk.persist.bind(disk);
    const saveSnapshot = disk.saveSnapshot.bind(disk);
    const crash = disk.crash.bind(disk);
    let last = Promise.resolve();
    disk.persist = async (hardState, entries) => {
      last = last.then(() => persist(hardState, entries)).catch(() => {});
    };
    disk.saveSnapshot = (snapshot, keepFrom) => last.then(() => saveSnapshot(snapshot, keepFrom));
    // What was under way never ends.
    disk.crash = () => {
      last = Promise.resolve();
      return crash();
    };
  },
};
