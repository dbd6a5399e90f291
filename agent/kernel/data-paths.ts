// What this machine's kernel can do of the three data paths.
import { unreachable } from "../../common/fault.js";
import type { DataPath } from "../overlay/data-path.js";
import type { Accelerator } from "./accelerator.js";
import { vxlanProblem } from "./network-steps.js";
import type { Places } from "./places.js";
import { tapProblem } from "./tap-steps.js";

/** As a sentence; undefined: it works here. */
export function dataPathProblem(
  path: DataPath,
  places: Places,
  accelerator: Pick<Accelerator, "problem">,
): string | undefined {
  switch (path) {
    case "kernel":
      return vxlanProblem(places);
    case "accelerated":
      // The kernel path stands under it, and carries what the programs leave.
      return vxlanProblem(places) ?? accelerator.problem();
    case "userspace":
      return tapProblem(places);
    default:
      return unreachable(path);
  }
}
