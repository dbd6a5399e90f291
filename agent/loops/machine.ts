// What membership asks of the machine it runs on.
import type { MachineAddress } from "../member/advertise.js";

export interface MachineDoor {
  addresses(): Promise<readonly MachineAddress[]>;
  /** The address that a packet to `host` would leave with; undefined: there is no route or no such name. */
  sourceTowards(host: string): Promise<string | undefined>;
  /** Why VXLAN from this address on this UDP port cannot work here, as a sentence; undefined if it can. */
  dataPortProblem(address: string, port: number): string | undefined;
}
