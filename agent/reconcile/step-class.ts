// What kinds of steps there are, for whoever decides which come first and who waits for which.
import type { PortRemoval, Step } from "./step.js";

export function isPortRemoval(step: Step): step is PortRemoval {
  return step.kind === "remove-endpoint" || step.kind === "unplug";
}

/** Takes away what nobody wants any more; it may come after what somebody waits for. */
export function isRemoval({ kind }: Step): boolean {
  switch (kind) {
    case "remove-endpoint":
    case "remove-sandbox":
    case "remove-network":
    case "remove-bridge":
    case "unplug":
    case "drop-rows":
    case "drop-neighbours":
      return true;
    default:
      return false;
  }
}

/** Rows too many are in nobody's way. */
export function isHarmless({ kind }: Step): boolean {
  return kind === "drop-rows" || kind === "drop-neighbours";
}

/** Whether it changes how others are reached: rows, neighbours and packet tables. */
export function isAboutReach({ kind }: Step): boolean {
  switch (kind) {
    case "make-sandbox":
    case "make-network":
    case "make-vxlan":
    case "make-endpoint":
    case "make-wireguard":
    case "remove-wireguard":
    case "make-bridge":
    case "plug":
    case "remove-endpoint":
    case "remove-sandbox":
    case "remove-vxlan":
    case "remove-network":
    case "remove-bridge":
    case "unplug":
    case "drop-rows":
    // Whom it does not help, the kernel path reaches.
    case "accelerate":
      return false;
    default:
      return true;
  }
}
