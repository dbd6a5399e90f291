// How each step is done: which of this folder's files it is for, and with what.
import { unreachable } from "../../common/fault.js";
import type { Step } from "../reconcile/step.js";
import type { Accelerator } from "./accelerator.js";
import { allowForwarding, makeBridge, plug, removeBridge, unplug } from "./bridge-steps.js";
import { makeEndpoint, makeSandbox, removeEndpoint, removeSandbox } from "./endpoint-steps.js";
import { dropNeighbours, putNeighbours } from "./mesh-steps.js";
import {
  dropRows,
  makeNetwork,
  makeVxlan,
  putRows,
  removeListener,
  removeNetwork,
  removeVxlan,
  swapVxlan,
} from "./network-steps.js";
import type { PacketFilters } from "./packet-filter.js";
import type { Places } from "./places.js";
import type { SwitchThreads } from "./switch-threads.js";
import { dropSwitchedRows, makeTap, putSwitchedRows } from "./tap-steps.js";
import type { Wireguard } from "./wireguard.js";

export interface StepTools {
  readonly places: Places;
  readonly filters: PacketFilters;
  readonly accelerator: Accelerator;
  readonly wireguard: Wireguard;
  readonly switching: SwitchThreads;
}

/** Undefined: it is done. Throws what the kernel says. */
export function performStep(tools: StepTools, step: Step): Promise<void> | undefined {
  const { places, filters, accelerator, wireguard, switching } = tools;
  switch (step.kind) {
    case "make-sandbox":
      makeSandbox(places, step.id);
      break;
    case "remove-sandbox":
      removeSandbox(places, step.file);
      break;
    case "make-network":
      makeNetwork(places, step);
      break;
    case "make-vxlan":
    case "make-listener":
      makeVxlan(places, step);
      break;
    case "make-tap":
      makeTap(places, switching, step);
      break;
    case "remove-listener":
      removeListener(places, step.vni);
      break;
    case "swap-vxlan":
      swapVxlan(places, step.vni);
      break;
    case "put-rows":
      if (isSwitched(switching, step.vni)) putSwitchedRows(places, switching, step);
      else putRows(places, step);
      break;
    case "drop-rows":
      if (isSwitched(switching, step.vni)) dropSwitchedRows(places, switching, step);
      else dropRows(places, step);
      break;
    case "make-endpoint":
      makeEndpoint(places, step);
      break;
    case "remove-endpoint":
      removeEndpoint(places, step.vni, step.port);
      break;
    case "remove-vxlan":
      switching.detach(step.vni);
      removeVxlan(places, step.vni);
      break;
    case "remove-network":
      switching.detach(step.vni);
      removeNetwork(places, step.vni);
      break;
    case "make-bridge":
      makeBridge(places, step);
      break;
    case "remove-bridge":
      removeBridge(places, step.device);
      break;
    case "plug":
      plug(places, step);
      break;
    case "unplug":
      unplug(places, step.port);
      break;
    case "put-neighbours":
      putNeighbours(places, step);
      break;
    case "drop-neighbours":
      dropNeighbours(places, step);
      break;
    case "allow-forwarding":
      allowForwarding(step.family);
      break;
    case "change-tables":
      filters.change(step);
      break;
    case "accelerate":
      accelerator.perform(step.change);
      break;
    case "make-wireguard":
    case "put-wireguard-peers":
    case "remove-wireguard":
      return wireguard.perform(step);
    default:
      unreachable(step);
  }
  return undefined;
}

/** The network's frames go by the userspace data path. */
function isSwitched(switching: SwitchThreads, vni: number): boolean {
  return switching.tapOf(vni) !== undefined;
}
