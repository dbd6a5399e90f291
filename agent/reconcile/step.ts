// What can be done to the kernel. Every step is an "ensure": doing it twice is doing it once, so that
// a run that was killed half-way is simply planned again.
import type { Family, Ip, Prefix } from "../../common/address.js";
import { formatIp } from "../../common/address.js";
import { unreachable } from "../../common/fault.js";
import type { Vni } from "../../common/ids.js";
import {
  ACCELERATION,
  type AccelerateStep,
  describeAcceleration,
  subjectOfAcceleration,
} from "./acceleration.js";
import type { PortHave } from "./have.js";
import type { BridgeWant } from "./local-want.js";
import { portName } from "./names.js";
import { type ChangeTables, describeTables, placeText } from "./table-plan.js";
import type { LocalEndpoint, TablePlace } from "./want.js";
import { sandboxFileName } from "./want.js";
import { describeWireguard, WIREGUARD, type WireguardStep } from "./wireguard-plan.js";

/** A row to have in a network's tables, replacing whatever is there for the same key. */
export type Row =
  /** A remote MAC: its VTEP on the VXLAN device, the VXLAN port on the bridge. */
  | { readonly kind: "remote"; readonly mac: string; readonly vtep: string }
  /** ARP and ND for the address are answered here. */
  | { readonly kind: "neighbour"; readonly ip: string; readonly mac: string }
  /** A VTEP that broadcast and multicast is copied to. */
  | { readonly kind: "flood"; readonly vtep: string }
  /** A MAC of an endpoint here, for the switch of the userspace data path: the others' tables have ports. */
  | { readonly kind: "local"; readonly mac: string };

/** A row to take away, from the one table that it names. Not being there is no error. */
export type StaleRow =
  | { readonly kind: "remote"; readonly mac: string; readonly vtep: string }
  | { readonly kind: "bridge"; readonly mac: string; readonly port: string }
  | { readonly kind: "neighbour"; readonly ip: string }
  | { readonly kind: "flood"; readonly vtep: string }
  | { readonly kind: "local"; readonly mac: string };

interface OfNetwork {
  readonly networkId: string;
  readonly vni: Vni;
}

export interface MakeNetwork extends OfNetwork {
  readonly kind: "make-network";
  readonly mtuBytes: number;
  /** NetworkWant.own. */
  readonly own?: { readonly mac: string; readonly prefix: Prefix };
}
export interface MakeVxlan extends OfNetwork {
  readonly kind: "make-vxlan";
  readonly local: Ip;
  readonly port: number;
  readonly mtuBytes: number;
  readonly df: "inherit" | "unset";
  /** Its UDP socket is to be where WireGuard's device is, and nowhere else. */
  readonly encrypted?: boolean;
  /** It was not there: if making it fails, what was made of it goes. */
  readonly fresh: boolean;
}
/** Beside the VXLAN device, on another port of UDP; nothing leaves by it. */
export interface MakeListener extends Omit<MakeVxlan, "kind"> {
  readonly kind: "make-listener";
}
/** In the VXLAN device's place, with the switch of the userspace data path behind it. */
export interface MakeTap extends OfNetwork {
  readonly kind: "make-tap";
  readonly local: Ip;
  readonly port: number;
  /** Frames are taken there too. */
  readonly also?: number;
  readonly mtuBytes: number;
  /** There was none. */
  readonly fresh: boolean;
}
export interface PutRows extends OfNetwork {
  readonly kind: "put-rows";
  readonly rows: readonly Row[];
}
export interface DropRows extends OfNetwork {
  readonly kind: "drop-rows";
  readonly rows: readonly StaleRow[];
}
export interface MakeEndpoint extends OfNetwork {
  readonly kind: "make-endpoint";
  readonly endpoint: LocalEndpoint;
  readonly mtuBytes: number;
  /** Subnets of the network that the endpoint's own prefixes do not cover: reached on-link too. */
  readonly routes: readonly Prefix[];
  readonly fresh: boolean;
}

export interface MakeBridge {
  readonly kind: "make-bridge";
  readonly bridge: BridgeWant;
  readonly alias: string;
  readonly fresh: boolean;
}
/** An endpoint onto a bridge of the machine. */
export interface Plug {
  readonly kind: "plug";
  readonly networkId: string;
  readonly device: string;
  readonly mtuBytes: number;
  readonly port: PortHave;
  readonly alias: string;
  readonly endpoint: LocalEndpoint;
  readonly fresh: boolean;
}
/** The neighbours of the machine's way into the mesh. */
export interface PutNeighbours {
  readonly kind: "put-neighbours";
  readonly networkId: string;
  readonly device: string;
  /** Address and MAC. */
  readonly rows: readonly (readonly [string, string])[];
}
export interface DropNeighbours {
  readonly kind: "drop-neighbours";
  readonly networkId: string;
  readonly device: string;
  readonly ips: readonly string[];
}
/** What steps about the machine's own tables are about. */
export const FILTER = "packet filter";
export const FORWARDING = "forwarding";

/** What steps about a sandbox's tables are about. */
export function tablesSubject(sandbox: TablePlace, layer: ChangeTables["layer"]): string {
  const what = layer === "hooks" ? "packet hooks" : FILTER;
  return sandbox.kind === "host" ? what : `${what} ${placeText(sandbox)}`;
}

export type PortRemoval =
  | { readonly kind: "remove-endpoint"; readonly vni: number; readonly port: string }
  | { readonly kind: "unplug"; readonly port: string };

export type Step =
  | { readonly kind: "make-sandbox"; readonly id: string }
  | { readonly kind: "remove-sandbox"; readonly file: string }
  /** Its namespace and its bridge. */
  | MakeNetwork
  | MakeVxlan
  | MakeListener
  | MakeTap
  | { readonly kind: "remove-listener"; readonly networkId: string; readonly vni: Vni }
  /** The VXLAN device and the listener change names. Neither is down meanwhile, where the kernel can. */
  | { readonly kind: "swap-vxlan"; readonly networkId: string; readonly vni: Vni }
  | PutRows
  | DropRows
  | MakeEndpoint
  | PortRemoval
  | { readonly kind: "remove-vxlan"; readonly vni: number }
  /** VXLAN device first, so that its VNI is free when the step is done, then all else. */
  | { readonly kind: "remove-network"; readonly vni: number }
  | MakeBridge
  | { readonly kind: "remove-bridge"; readonly device: string }
  | Plug
  | PutNeighbours
  | DropNeighbours
  | { readonly kind: "allow-forwarding"; readonly family: Family }
  | WireguardStep
  | ChangeTables
  | AccelerateStep;

/** What a step is about: problems and pauses are kept by this. An id, or a name for what has none. */
export function subjectOf(step: Step): string {
  switch (step.kind) {
    case "make-sandbox":
      return step.id;
    case "remove-sandbox":
      return step.file;
    case "make-network":
    case "make-vxlan":
    case "make-tap":
    case "make-listener":
    case "remove-listener":
    case "swap-vxlan":
    case "put-rows":
    case "drop-rows":
    case "put-neighbours":
    case "drop-neighbours":
      return step.networkId;
    case "make-endpoint":
      return step.endpoint.endpointId;
    case "remove-endpoint":
      return step.port;
    case "remove-vxlan":
    case "remove-network":
      return `vni ${step.vni}`;
    case "make-bridge":
      return step.bridge.networkId;
    case "remove-bridge":
      return step.device;
    case "plug":
      return step.endpoint.endpointId;
    case "unplug":
      return step.port;
    case "allow-forwarding":
      return FORWARDING;
    case "make-wireguard":
    case "put-wireguard-peers":
    case "remove-wireguard":
      return WIREGUARD;
    case "change-tables":
      return tablesSubject(step.sandbox, step.layer);
    case "accelerate":
      return subjectOfAcceleration(step.change);
    default:
      return unreachable(step);
  }
}

/** The subjects that must be well before the step makes sense. */
export function needsOf(step: Step): readonly string[] {
  if (step.kind === "change-tables") {
    return step.sandbox.kind === "own" ? [step.sandbox.id] : [];
  }
  if (step.kind === "accelerate") return [ACCELERATION];
  if (step.kind === "make-vxlan" || step.kind === "make-listener") {
    return step.encrypted ? [WIREGUARD] : [];
  }
  if (step.kind !== "make-endpoint" && step.kind !== "plug") return [];
  const { sandbox } = step.endpoint;
  const needs = [step.networkId, ...(sandbox.kind === "own" ? [sandbox.id] : [])];
  // Nothing is plugged in where nothing keeps others out.
  const tables = tablesSubject(sandbox, "tables");
  return step.kind === "plug" ? [...needs, FILTER, tables] : [...needs, tables];
}

/** What takes back a step that failed half-way; undefined where doing it again is the better cure. */
export function undoOf(step: Step): Step | undefined {
  switch (step.kind) {
    case "make-sandbox":
      return { kind: "remove-sandbox", file: sandboxFileName(step.id) };
    case "make-vxlan":
    case "make-tap":
      return step.fresh ? { kind: "remove-vxlan", vni: step.vni } : undefined;
    case "make-listener":
      return step.fresh
        ? { kind: "remove-listener", networkId: step.networkId, vni: step.vni }
        : undefined;
    case "make-endpoint":
      // One that worked and only could not be repaired may still carry frames.
      return step.fresh
        ? { kind: "remove-endpoint", vni: step.vni, port: portName(step.endpoint.endpointId) }
        : undefined;
    case "make-bridge":
      return step.fresh ? { kind: "remove-bridge", device: step.bridge.device } : undefined;
    case "plug":
      return step.fresh ? { kind: "unplug", port: portName(step.endpoint.endpointId) } : undefined;
    default:
      return undefined;
  }
}

/** For logs and for whoever asks what is being done. */
export function describe(step: Step): string {
  switch (step.kind) {
    case "make-sandbox":
      return `make sandbox ${step.id}`;
    case "remove-sandbox":
      return `remove sandbox ${step.file}`;
    case "make-network":
      return `make the namespace and bridge of VNI ${step.vni}, MTU ${step.mtuBytes}`;
    case "make-vxlan":
      return `make the VXLAN device of VNI ${step.vni} from ${formatIp(step.local)} on UDP ${step.port}`;
    case "make-tap":
      return `make the TAP device of VNI ${step.vni}, switched from ${formatIp(step.local)} on UDP ${step.port}`;
    case "make-listener":
      return `take frames of VNI ${step.vni} on UDP ${step.port} too`;
    case "remove-listener":
      return `take frames of VNI ${step.vni} on one UDP port only`;
    case "swap-vxlan":
      return `send frames of VNI ${step.vni} to the other UDP port`;
    case "put-rows":
      return `write ${step.rows.length} rows of VNI ${step.vni}`;
    case "drop-rows":
      return `take ${step.rows.length} rows from VNI ${step.vni}`;
    case "make-endpoint":
      return `make ${step.endpoint.interfaceName} of endpoint ${step.endpoint.endpointId}`;
    case "remove-endpoint":
      return `remove port ${step.port} from VNI ${step.vni}`;
    case "remove-vxlan":
      return `remove the VXLAN device of VNI ${step.vni}`;
    case "remove-network":
      return `remove VNI ${step.vni}`;
    case "make-bridge":
      return `make bridge ${step.bridge.device} of network ${step.bridge.name}`;
    case "remove-bridge":
      return `remove bridge ${step.device}`;
    case "plug":
      return `make ${step.endpoint.interfaceName} of endpoint ${step.endpoint.endpointId} on ${step.device}`;
    case "unplug":
      return `remove port ${step.port}`;
    case "put-neighbours":
      return `write ${step.rows.length} neighbours of ${step.device}`;
    case "drop-neighbours":
      return `take ${step.ips.length} neighbours from ${step.device}`;
    case "allow-forwarding":
      return step.family === 4
        ? "let this machine forward IPv4 packets (net.ipv4.ip_forward)"
        : "let this machine forward IPv6 packets (net.ipv6.conf.all.forwarding, and accept_ra=2 where it was 1)";
    case "make-wireguard":
    case "put-wireguard-peers":
    case "remove-wireguard":
      return describeWireguard(step);
    case "change-tables":
      return describeTables(step);
    case "accelerate":
      return describeAcceleration(step.change);
    default:
      return unreachable(step);
  }
}
