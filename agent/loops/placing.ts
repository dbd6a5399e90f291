// What the loops of containers and attachments ask of the rest of the agent: addresses from the swarm,
// a place for each in the kernel, and somewhere to say what happened. `agent.ts` implements these over
// the session with the managers and the kernel's applier. Nothing here waits longer than its signal.
import type { Readable } from "node:stream";
import type { Refusal } from "../../common/fault.js";
import type { AttachRequest, AttachResponse } from "../../proto/gen/dispatcher.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import type { Owner, SandboxRef } from "../reconcile/want.js";
import type { Mount, MountPoint, NodeEvent, PortBinding, PublishedPort } from "../seams.js";

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
  /** What the swarm gave to a task of this node with its assignment; undefined: it is not, or no longer, this node's. */
  assigned(
    endpointId: string,
  ): { readonly endpoint: Endpoint; readonly network: Network } | undefined;
  attach(request: AttachRequest): Promise<AttachResponse | Refusal>;
  detach(endpointId: string): Promise<Refusal | undefined>;
}

/** A place on one of this node's own networks. */
export interface LocalJoin {
  readonly endpointId: string;
  /** Of a network that `LocalNetworks.find` answered; docker_gwbridge is made when it is first joined. */
  readonly network: string;
  /** Whose sandbox its interface goes to; declared with `Placing.sandbox` before. */
  readonly containerId: string;
  readonly interfaceName: string;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly hostname: string;
  /** Wanted addresses without prefix length; empty: any. */
  readonly ipv4: string;
  readonly ipv6: string;
  /** Published through this endpoint. */
  readonly ports: readonly PortBinding[];
  /** Whether the sandbox's default route goes this way. */
  readonly gateway: boolean;
}

/**
 * Puts containers on this node's own networks. `join` resolves when the interface is up and the ports
 * answer; joining again with the same endpoint id gives the same addresses and ports (so the loops do it
 * for every running container after an agent's start). What is not joined again by then is taken down when
 * `restored` is called. Refusals are Docker's ("Bind for 0.0.0.0:8080 failed: port is already allocated").
 */
export interface LocalJoins {
  join(request: LocalJoin): Promise<
    | {
        readonly endpoint: Endpoint;
        readonly network: Network;
        readonly ports: readonly PublishedPort[];
      }
    | Refusal
  >;
  /** Resolves when interface and ports are gone. Leaving what is not there is no error. */
  leave(endpointId: string): Promise<void>;
  restored(): void;
}

/** The resolver at 127.0.0.11 of containers. Declarations, like Placing's, live in memory only. */
export interface ContainerNames {
  /** Of a container with a sandbox of its own: whom it asks for names of the outside; none: the machine's resolvers. */
  declare(containerId: string, servers: readonly string[]): void;
  /**
   * Opens its sockets once its namespace is there, if it is on a network that has names; whether it is. Again:
   * what has changed since.
   */
  open(containerId: string): boolean;
  drop(containerId: string): void;
}

/** Mounts of containers, as they are on the machine: the part of the volumes that starting one needs. */
export interface ContainerVolumes {
  /** Makes what is missing; the volumes are not removed until `settled`. Refusals in Docker's words. */
  make(containerId: string, mounts: readonly Mount[]): Promise<readonly MountPoint[] | Refusal>;
  /** The container's record says now what it uses, or there is none. */
  settled(containerId: string): void;
  /** Empty volumes of these, that start with what the image has at their target. */
  toFill(mountPoints: readonly MountPoint[]): Promise<readonly MountPoint[]>;
  /** Unpacks a tar of one folder into the volume: the folder's content, its owner and its rights. */
  fill(point: MountPoint, tar: Readable): Promise<void>;
  /** Mounts what has to be mounted before a start; again is no error. */
  hold(containerId: string, mountPoints: readonly MountPoint[]): Promise<Refusal | undefined>;
  letGo(containerId: string): Promise<void>;
  /** Removes those of these that have no name of their own and are used by nobody else. */
  drop(mountPoints: readonly MountPoint[]): Promise<void>;
}

export interface EventPublisher {
  publish(event: NodeEvent): void;
}
