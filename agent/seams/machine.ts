// The machine itself, where the agent has to look at it.
import type { MachineAddress } from "../member/advertise.js";

/** What the loops ask of the machine they run on. */
export interface MachineDoor {
  addresses(): Promise<readonly MachineAddress[]>;
  /** The address that a packet to `host` would leave with; undefined: there is no route or no such name. */
  sourceTowards(host: string): Promise<string | undefined>;
  /** Why VXLAN from this address on this UDP port cannot work here, as a sentence; undefined if it can. */
  dataPortProblem(address: string, port: number): string | undefined;
}

/** The kernel's table of connections, of the machine's own namespace. */
export interface FlowTable {
  readonly entries: number;
  readonly max: number;
  /** Packets of new connections that found no room, since the machine started. */
  readonly dropped: number;
}

/** One of the kernel's tables of neighbours, which all namespaces of the machine share. */
export interface NeighbourTable {
  readonly family: 4 | 6;
  /** As the kernel calls it. */
  readonly name: string;
  /** More rows than this are cleared away when they are five seconds old. */
  readonly soft: number;
  readonly max: number;
  /** How often that was so, and how many rows found no room, since the machine started. */
  readonly cleared: number;
  readonly refused: number;
}

export interface NeighbourTables {
  /** None where they are not shown: in another namespace than the machine's own. */
  list(): readonly NeighbourTable[];
  /** To these three (gc_thresh1 to 3), each unless it is higher; whether one was lower and is not any more. */
  raise(family: 4 | 6, limits: readonly [number, number, number]): boolean;
}

export interface MachineFacts {
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
}
