// Networks that only this node has, and what a person puts on a network of the swarm without a container.
import type { Refusal } from "../../common/fault.js";
import type { Endpoint, Network, NetworkSpec } from "../../proto/gen/types.js";

/**
 * Networks that only this node has: "bridge", "host", "none", docker_gwbridge, and bridges that a person
 * made. They are Network and Endpoint as the swarm's are, with driver "bridge", "host" or "null" and no VNI.
 */
export interface LocalNetworks {
  list(): readonly Network[];
  /** By name, id, or unambiguous prefix of an id. */
  find(ref: string): Network | undefined;
  /** Subnet and gateway are chosen where the spec has none. */
  create(spec: NetworkSpec): Promise<Network | Refusal>;
  /** Refused while something is on it, and for those that are always there. */
  remove(ref: string): Promise<Refusal | undefined>;
  endpointsOn(networkId: string): readonly Endpoint[];
}

/** Puts something that is not a container of ours on a network: this machine, or an existing namespace. */
export interface AttachWish {
  readonly network: string;
  /** Empty: the machine itself. Else a name under /run/netns, or an absolute path of a namespace file. */
  readonly netns: string;
  readonly name: string;
  /** Interface name inside; empty: chosen. */
  readonly interfaceName: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly aliases: readonly string[];
}

export interface Attachment {
  readonly id: string;
  readonly wish: AttachWish;
  readonly interfaceName: string;
  readonly endpoint: Endpoint;
  readonly network: Network;
  readonly createdAtMs: number;
  /** Why it does not work at the moment ("namespace is gone"); empty when it does. */
  readonly problem: string;
}

export interface Attachments {
  list(): readonly Attachment[];
  attach(wish: AttachWish): Promise<Attachment | Refusal>;
  /** `ref` is an id, an id prefix, a name, or a network's name when only one attachment is on it. */
  detach(ref: string): Promise<Refusal | undefined>;
}
