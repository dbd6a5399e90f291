// File modes as Docker's API has them: Go's os.FileMode (its fs package), which keeps the nine permission
// bits where Linux has them and everything else elsewhere.

// inode(7), and the bit of Go's for each kind.
const KINDS: ReadonlyMap<number, number> = new Map([
  [0o040000, 2 ** 31], // folder
  [0o120000, 2 ** 27], // symbolic link
  [0o060000, 2 ** 26], // block device
  [0o020000, 2 ** 26 + 2 ** 21], // character device
  [0o010000, 2 ** 25], // FIFO
  [0o140000, 2 ** 24], // socket
]);
const BITS = [
  [0o4000, 2 ** 23], // set-user-id
  [0o2000, 2 ** 22], // set-group-id
  [0o1000, 2 ** 20], // sticky
] as const;

export function goFileMode(mode: number): number {
  const bits = BITS.filter(([linux]) => (mode & linux) !== 0);
  return (
    (KINDS.get(mode & 0o170000) ?? 0) + bits.reduce((sum, [, go]) => sum + go, 0) + (mode & 0o777)
  );
}
