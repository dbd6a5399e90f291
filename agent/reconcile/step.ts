// What can be done to the kernel. Every step is an "ensure": doing it twice is doing it once, so that
// a run that was killed half-way is simply planned again.
import type { Ip, Prefix } from "../../common/address.js";
import { formatIp } from "../../common/address.js";
import { unreachable } from "../../common/fault.js";
import type { Vni } from "../../common/ids.js";
import { portName } from "./names.js";
import type { LocalEndpoint } from "./want.js";
import { sandboxFileName } from "./want.js";

/** A row to have in a network's tables, replacing whatever is there for the same key. */
export type Row =
  /** A remote MAC: its VTEP on the VXLAN device, the VXLAN port on the bridge. */
  | { readonly kind: "remote"; readonly mac: string; readonly vtep: string }
  /** ARP and ND for the address are answered here. */
  | { readonly kind: "neighbour"; readonly ip: string; readonly mac: string }
  /** A VTEP that broadcast and multicast is copied to. */
  | { readonly kind: "flood"; readonly vtep: string };

/** A row to take away, from the one table that it names. Not being there is no error. */
export type StaleRow =
  | { readonly kind: "remote"; readonly mac: string; readonly vtep: string }
  | { readonly kind: "bridge"; readonly mac: string; readonly port: string }
  | { readonly kind: "neighbour"; readonly ip: string }
  | { readonly kind: "flood"; readonly vtep: string };

interface OfNetwork {
  readonly networkId: string;
  readonly vni: Vni;
}

export interface MakeNetwork extends OfNetwork {
  readonly kind: "make-network";
  readonly mtuBytes: number;
}
export interface MakeVxlan extends OfNetwork {
  readonly kind: "make-vxlan";
  readonly local: Ip;
  readonly port: number;
  readonly mtuBytes: number;
  /** It was not there: if making it fails, what was made of it goes. */
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

export type Step =
  | { readonly kind: "make-sandbox"; readonly id: string }
  | { readonly kind: "remove-sandbox"; readonly file: string }
  /** Its namespace and its bridge. */
  | MakeNetwork
  | MakeVxlan
  | PutRows
  | DropRows
  | MakeEndpoint
  | { readonly kind: "remove-endpoint"; readonly vni: number; readonly port: string }
  | { readonly kind: "remove-vxlan"; readonly vni: number }
  /** VXLAN device first, so that its VNI is free when the step is done, then all else. */
  | { readonly kind: "remove-network"; readonly vni: number };

/** What a step is about: problems and pauses are kept by this. An id, or a name for what has none. */
export function subjectOf(step: Step): string {
  switch (step.kind) {
    case "make-sandbox":
      return step.id;
    case "remove-sandbox":
      return step.file;
    case "make-network":
    case "make-vxlan":
    case "put-rows":
    case "drop-rows":
      return step.networkId;
    case "make-endpoint":
      return step.endpoint.endpointId;
    case "remove-endpoint":
      return step.port;
    case "remove-vxlan":
    case "remove-network":
      return `vni ${step.vni}`;
    default:
      return unreachable(step);
  }
}

/** The subjects that must be well before the step makes sense. */
export function needsOf(step: Step): readonly string[] {
  if (step.kind !== "make-endpoint") return [];
  const { sandbox } = step.endpoint;
  return sandbox.kind === "own" ? [step.networkId, sandbox.id] : [step.networkId];
}

/** What takes back a step that failed half-way; undefined where doing it again is the better cure. */
export function undoOf(step: Step): Step | undefined {
  switch (step.kind) {
    case "make-sandbox":
      return { kind: "remove-sandbox", file: sandboxFileName(step.id) };
    case "make-vxlan":
      return step.fresh ? { kind: "remove-vxlan", vni: step.vni } : undefined;
    case "make-endpoint":
      // One that worked and only could not be repaired may still carry frames.
      return step.fresh
        ? { kind: "remove-endpoint", vni: step.vni, port: portName(step.endpoint.endpointId) }
        : undefined;
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
    default:
      return unreachable(step);
  }
}
