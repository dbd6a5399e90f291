// Which of the three ways this node's frames go. All of them speak the same wire and are filled from the same peer
// table, so each node chooses for itself.
import { unreachable } from "../../common/fault.js";

/** docs/data-paths.md: bridge and VXLAN device; the same with eBPF programs that carry most frames past them; TAP and UDP socket. */
export type DataPath = "kernel" | "accelerated" | "userspace";
export type DataPathWish = "auto" | DataPath;
export const DATA_PATH_WISHES: readonly DataPathWish[] = [
  "auto",
  "kernel",
  "accelerated",
  "userspace",
];

export interface DataPathChoice {
  readonly path: DataPath;
  /** Why not one that would have come before it, as sentences; empty: it is what was asked for. */
  readonly why: readonly string[];
}

/**
 * The first that works here of what was asked for and what comes below it. `problemOf` says why one cannot work here,
 * as a sentence; it is asked only as far as needed. The last one is chosen even if it cannot: its steps will say why.
 */
export function chooseDataPath(
  wish: DataPathWish,
  problemOf: (path: DataPath) => string | undefined,
): DataPathChoice {
  const ladder = ladderOf(wish);
  const why: string[] = [];
  for (const path of ladder) {
    const problem = problemOf(path);
    if (problem === undefined) return { path, why };
    // What lacks one thing may lack it for two paths.
    if (!why.includes(problem)) why.push(problem);
  }
  return { path: ladder.at(-1) ?? "kernel", why };
}

function ladderOf(wish: DataPathWish): readonly DataPath[] {
  switch (wish) {
    case "auto":
    case "accelerated":
      return ["accelerated", "kernel", "userspace"];
    case "kernel":
      return ["kernel", "userspace"];
    case "userspace":
      // Nothing lies below it, and who cannot have it is better off with the kernel's than with none.
      return ["userspace", "kernel"];
    default:
      return unreachable(wish);
  }
}
