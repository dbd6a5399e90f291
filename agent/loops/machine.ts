// What membership asks of the machine it runs on.
import type { MachineAddress } from "../member/advertise.js";

export interface MachineDoor {
  addresses(): Promise<readonly MachineAddress[]>;
  /** The address that a packet to `host` would leave with; undefined: there is no route or no such name. */
  sourceTowards(host: string): Promise<string | undefined>;
  /** Whether a program holds the UDP port. The kernel's own VXLAN sockets can be shared and do not count. */
  udpPortTaken(port: number): Promise<boolean>;
}
