// What this node's kernel holds now, of what is ours: the have side of reconcile, as read by a dump.
// Addresses are canonical text here, because they are only ever compared.

/** One bridge port's settings that decide where frames go (IFLA_BRPORT_*). */
export interface PortHave {
  readonly learning: boolean;
  readonly unicastFlood: boolean;
  readonly neighSuppress: boolean;
}

export interface LinkHave {
  readonly ifindex: number;
  readonly name: string;
  /** IFLA_INFO_KIND: "veth", "bridge", "vxlan"; empty for hardware. */
  readonly kind: string;
  readonly mac: string;
  readonly mtuBytes: number;
  readonly up: boolean;
  /** IFLA_IFALIAS; ours begin with "skein:". */
  readonly alias: string;
  /** ifindex of the bridge it is a port of; 0: none. */
  readonly master: number;
  readonly port: PortHave | undefined;
  readonly vxlan: VxlanHave | undefined;
}

export interface VxlanHave {
  readonly vni: number;
  readonly local: string;
  readonly port: number;
  readonly learning: boolean;
}

/** The namespace of one network: its bridge, its VXLAN device, the near ends of its endpoints' pairs. */
export interface NetworkHave {
  readonly vni: number;
  readonly links: ReadonlyMap<string, LinkHave>;
  /** The VXLAN device's rows: MAC → VTEP. */
  readonly fdb: ReadonlyMap<string, string>;
  /** VTEPs of the all-zeros row. */
  readonly flood: ReadonlySet<string>;
  /** The bridge's static rows: MAC → port name. Its own (local) ones are left out. */
  readonly bridgeFdb: ReadonlyMap<string, string>;
  /** Permanent neighbours on the bridge: address → MAC. */
  readonly neighbours: ReadonlyMap<string, string>;
}

export interface AddressHave {
  readonly ifindex: number;
  /** With prefix length. */
  readonly prefix: string;
}

export interface RouteHave {
  /** With prefix length; "0.0.0.0/0" and "::/0" are default routes. */
  readonly prefix: string;
  readonly gateway: string | undefined;
  /** 0 if it has several next hops or none. */
  readonly ifindex: number;
}

/** What a namespace holds, as far as endpoints and the underlay care. Main table only. */
export interface NamespaceHave {
  readonly links: readonly LinkHave[];
  readonly addresses: readonly AddressHave[];
  readonly routes: readonly RouteHave[];
}

export interface HostHave {
  /** File names under <run>/netns of our own sandboxes ("sb-0123456789ab"). */
  readonly sandboxes: ReadonlySet<string>;
  readonly networks: ReadonlyMap<number, NetworkHave>;
  /** By `sandboxKey`: those that were asked for and could be entered. */
  readonly insides: ReadonlyMap<string, NamespaceHave>;
  readonly underlay: NamespaceHave;
}

/** The machine's own side: what an advertise address and an inner MTU are derived from. */
export type Underlay = NamespaceHave;

/** The link that has this alias. */
export function linkWith(inside: NamespaceHave, alias: string): LinkHave | undefined {
  return inside.links.find((link) => link.alias === alias);
}
