// What this node's kernel holds now, of what is ours: the have side of reconcile, as read by a dump.
// Addresses are canonical text here, because they are only ever compared.
import type { Family } from "../../common/address.js";
import type { AccelerationHave } from "./acceleration.js";
import type { ReturnHave } from "./mesh-want.js";
import type { NamespaceTablesHave } from "./table-have.js";
import type { WireguardHave } from "./wireguard-plan.js";

/** One bridge port's settings that decide where frames go (IFLA_BRPORT_*). */
export interface PortHave {
  readonly learning: boolean;
  readonly unicastFlood: boolean;
  readonly neighSuppress: boolean;
  /** It reaches only ports that are not isolated, and the bridge itself. */
  readonly isolated?: boolean;
  /** What comes from it may go back to it. */
  readonly hairpin?: boolean;
  /** False: broadcast and multicast do not leave by it. */
  readonly flood?: boolean;
  /** Every group's frames go there, whoever asked for them. */
  readonly allGroups?: boolean;
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
  /** Of a bridge: whether multicast goes only where it is asked for, and whether the bridge asks. */
  readonly groups?: { readonly snooping: boolean; readonly querier: boolean };
  readonly vxlan: VxlanHave | undefined;
}

export interface VxlanHave {
  readonly vni: number;
  readonly local: string;
  readonly port: number;
  readonly learning: boolean;
  /** IFLA_VXLAN_DF; undefined: the kernel knows no such setting (before 4.20), or it is "set". */
  readonly df?: "inherit" | "unset" | undefined;
}

/** What the switch of the userspace data path has of a network. */
export interface SwitchedHave {
  /** Where it sends from. */
  readonly local: string;
  readonly port: number;
  /** Where it takes frames too. */
  readonly also: number | undefined;
  /** Its rows: MAC → VTEP. */
  readonly fdb: ReadonlyMap<string, string>;
  readonly flood: ReadonlySet<string>;
  /** MACs of endpoints here. */
  readonly locals: ReadonlySet<string>;
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
  /** Addresses on the bridge, with prefix length; undefined: nobody looked, for there should be none. */
  readonly own?: ReadonlySet<string>;
  /** The userspace data path's; `fdb` and `flood` are then its rows. */
  readonly switched?: SwitchedHave | undefined;
  /** The bridge has the address that it asks for groups of IPv6 from. */
  readonly asks?: boolean;
  /** The namespace forwards nothing and filters nothing of its own; undefined: not looked at. */
  readonly quiet?: boolean;
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
  /** The mesh's way back, if there is something of it. */
  readonly returning?: ReturnHave | undefined;
}

export interface HostHave {
  /** File names under <run>/netns of our own sandboxes ("sb-0123456789ab"). */
  readonly sandboxes: ReadonlySet<string>;
  readonly networks: ReadonlyMap<number, NetworkHave>;
  /** By `sandboxKey`: those that were asked for and could be entered. */
  readonly insides: ReadonlyMap<string, NamespaceHave>;
  readonly underlay: NamespaceHave;
  /** Permanent neighbours of the device that is this node's way into the mesh: address → MAC. */
  readonly mesh?: ReadonlyMap<string, string> | undefined;
  /** Of the node's own networks; undefined: nobody looks after such here. */
  readonly local?: LocalHave | undefined;
  /** undefined: this kernel is not asked about it. */
  readonly acceleration?: AccelerationHave | undefined;
  /** Undefined: there is no namespace for it. */
  readonly wireguard?: WireguardHave | undefined;
  /** Our tables by `sandboxKey`, also of sandboxes that were not asked for but had some when last looked at. */
  readonly tables?: ReadonlyMap<string, NamespaceTablesHave>;
}

export interface LocalHave {
  /** In the aliases of what is this agent's (`localAlias`). */
  readonly tag: string;
  /** net.ipv4.ip_forward, net.ipv6.conf.all.forwarding. */
  readonly forwarding: Readonly<Record<Family, boolean>>;
  /** net.bridge.bridge-nf-call-iptables and -ip6tables: what a bridge carries meets the packet filter on its way. */
  readonly bridgedFilter: Readonly<Record<Family, boolean>>;
  /**
   * Others' chains that drop what is forwarded unless a rule of theirs lets it: "ip filter FORWARD", or "ip
   * filter FORWARD (iptables-legacy)".
   */
  readonly forwardDrops: readonly string[];
}

/** The machine's own side: what an advertise address and an inner MTU are derived from. */
export type Underlay = NamespaceHave;

/** The link that has this alias. */
export function linkWith(inside: NamespaceHave, alias: string): LinkHave | undefined {
  return inside.links.find((link) => link.alias === alias);
}
