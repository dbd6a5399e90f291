// Which address is this node's on the data path, when the one that it had is on no interface any more.
import type { MachineAddress } from "./advertise.js";

export interface HadAddress {
  /** The address that is gone. */
  readonly address: string;
  /** Where it was last seen; undefined: not since this agent was started. */
  readonly interfaceName: string | undefined;
  /** The one that packets to the managers leave with; undefined: the data path has interfaces of its own, or there is none. */
  readonly towardsSwarm: string | undefined;
}

/** Undefined while it is still there, and when it cannot be told which came in its place. */
export function movedAddress(
  had: HadAddress,
  machine: readonly MachineAddress[],
): string | undefined {
  if (machine.some(({ address }) => address === had.address)) return undefined;
  const family = had.address.includes(":") ? 6 : 4;
  const there = machine.filter(
    (each) => each.usable && each.interfaceName === had.interfaceName && each.family === family,
  );
  if (there.length === 1) return there[0]?.address;
  const towards = machine.find(({ address }) => address === had.towardsSwarm);
  // Of several on the interface, only one of them is it.
  return towards?.usable && (there.length === 0 || there.includes(towards))
    ? towards.address
    : undefined;
}
