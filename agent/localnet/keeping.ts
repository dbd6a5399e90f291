// What the loop of the node's own networks keeps, and what it asks of the machine.
import type { Endpoint, Network } from "../../proto/gen/types.js";
import type { NamespaceHave } from "../reconcile/have.js";
import type { LocalWant, PortProtocol } from "../reconcile/local-want.js";
import type { PublishedPort } from "../seams.js";

export interface LocalNetworkRecord {
  readonly network: Network;
  /** Whether we chose the subnet: then we may choose another while nothing is on it. */
  readonly chosen: boolean;
}

export interface LocalEndpointRecord {
  readonly endpoint: Endpoint;
  readonly containerId: string;
  readonly interfaceName: string;
  readonly gateway: boolean;
  readonly ports: readonly PublishedPort[];
}

export interface LocalNetRecords {
  readonly networks: readonly LocalNetworkRecord[];
  readonly endpoints: readonly LocalEndpointRecord[];
}

export interface LocalNetDisk {
  /** Undefined: nothing was ever saved. */
  load(): Promise<LocalNetRecords | undefined>;
  save(records: LocalNetRecords): Promise<void>;
}

/** The kernel, as far as local networks need it. `Places` is it. */
export interface LocalPlacing {
  /** Takes note, like `Placing.own`. */
  setLocal(want: LocalWant): void;
  /** Resolves when the endpoint's interface is up and every port is published. */
  localReady(endpointId: string, signal: AbortSignal): Promise<void>;
  /** Resolves when what is not wanted any more of an endpoint, or at all, is gone; or after a request's time. */
  localSettled(endpointId?: string): Promise<void>;
  /** Links, addresses and routes of this machine now. */
  machine(): NamespaceHave;
  /** Whether the machine has an interface of this name that is not this agent's bridge. */
  isTaken(device: string): boolean;
}

/** Keeps others from taking a port of the machine that leads inside. Only as long as the agent runs. */
export interface PortHolder {
  /** `ip` "0.0.0.0": every address. A value: what prevents it. */
  hold(protocol: PortProtocol, ip: string, port: number): HeldPort | "taken" | "no-such-address";
  /** From which ports are chosen: the kernel's own range for outgoing connections. */
  range(): { readonly first: number; readonly last: number };
}
export interface HeldPort {
  release(): void;
}
