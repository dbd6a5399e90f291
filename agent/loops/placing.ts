// What the loops of containers and attachments ask of the rest of the agent: addresses from the swarm,
// a place for each in the kernel, and somewhere to say what happened. `agent.ts` implements these over
// the session with the managers and the kernel's applier. Nothing here waits longer than its signal.
import type { Refusal } from "../../common/fault.js";
import type { AttachRequest, AttachResponse } from "../../proto/gen/dispatcher.js";
import type { Network } from "../../proto/gen/types.js";
import type { Owner, SandboxRef } from "../reconcile/want.js";
import type { NodeEvent } from "../seams.js";

/** Where an endpoint's interface goes, and its name there. */
export type Place = Owner;

/**
 * The kernel side. `own` and `sandbox` are declarations: they take note and return at once, and the
 * reconcile makes them true and keeps them true, also when a namespace vanishes and comes back.
 * Declarations live in memory only: after an agent's start the loops make them again, from their own
 * records, before `restore()` resolves; nothing undeclared may be taken down before that.
 */
export interface Placing {
  /**
   * Declares that the container has a namespace of its own, loopback up, and answers the file it will be
   * at: `<run>/netns/sb-<first 12 of id>`. Declaring again is no error and changes nothing.
   */
  sandbox(containerId: string): string;
  /** Resolves when the namespace of a declared sandbox exists; rejects with a Fault that says why not. */
  sandboxReady(containerId: string, signal: AbortSignal): Promise<void>;
  /** The namespace and all in it goes. Resolves when it is gone from its file; dropping none is no error. */
  dropSandbox(containerId: string): Promise<void>;

  /** Declares where this endpoint of ours goes. Again with another place: it moves. Again with the same: look again now. */
  own(endpointId: string, place: Place): void;
  /** The interface goes. Resolves when it is gone, or when its namespace is. */
  disown(endpointId: string): Promise<void>;
  /**
   * Resolves when the endpoint's interface is up with its addresses and what the node was told of the
   * network is in the kernel, so that a first packet finds its way. Rejects with a Fault that says why not.
   */
  ready(endpointId: string, signal: AbortSignal): Promise<void>;
  /** Why the endpoint does not work at the moment, as a sentence; undefined when it does or is being made. */
  problem(endpointId: string): string | undefined;

  /** Why the network cannot be reached from that sandbox (its subnet overlaps a route there), as a sentence. */
  conflict(network: Network, sandbox: SandboxRef): Promise<string | undefined>;
  /** Names of the interfaces that are there now; undefined: there is no such namespace. */
  interfaceNames(sandbox: SandboxRef): Promise<readonly string[] | undefined>;
}

/** Addresses from the swarm: the part of ManagerLink that is needed here. A Fault: no manager answered. */
export interface Endpoints {
  attach(request: AttachRequest): Promise<AttachResponse | Refusal>;
  detach(endpointId: string): Promise<Refusal | undefined>;
}

export interface EventPublisher {
  publish(event: NodeEvent): void;
}
