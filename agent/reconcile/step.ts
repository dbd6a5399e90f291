// What can be done to the kernel, one idempotent step at a time.
import type { Ip } from "../../common/address.js";
import type { Mac, Vni } from "../../common/ids.js";
import type { LocalEndpoint, NetworkWant } from "./want.js";

/** A row of a network's tables. */
export type Row =
  /** A remote MAC: on the VXLAN device its VTEP, on the bridge the VXLAN port. */
  | { readonly kind: "remote"; readonly mac: string; readonly vtep: string }
  /** A local MAC: on the bridge, the endpoint's port. */
  | { readonly kind: "local"; readonly mac: string; readonly port: string }
  /** ARP and ND are answered from it. */
  | { readonly kind: "neighbour"; readonly ip: string; readonly mac: string }
  /** A VTEP that broadcast and multicast is copied to. */
  | { readonly kind: "flood"; readonly vtep: string };

/** A row to take away; only the table that it names is touched. */
export type StaleRow =
  | { readonly kind: "remote"; readonly mac: string; readonly vtep: string }
  | { readonly kind: "bridge"; readonly mac: string; readonly port: string }
  | { readonly kind: "neighbour"; readonly ip: string; readonly mac: string }
  | { readonly kind: "flood"; readonly vtep: string };

interface OfNetwork {
  readonly networkId: string;
  readonly vni: Vni;
}

export type Step =
  | { readonly kind: "make-sandbox"; readonly id: string }
  | { readonly kind: "remove-sandbox"; readonly file: string }
  /** Namespace and bridge. */
  | ({ readonly kind: "make-network"; readonly mtuBytes: number } & OfNetwork)
  | ({
      readonly kind: "make-vxlan";
      readonly local: Ip;
      readonly port: number;
      readonly mtuBytes: number;
    } & OfNetwork)
  | ({ readonly kind: "put-rows"; readonly rows: readonly Row[] } & OfNetwork)
  | ({ readonly kind: "drop-rows"; readonly rows: readonly StaleRow[] } & OfNetwork)
  | ({
      readonly kind: "make-endpoint";
      readonly endpoint: LocalEndpoint;
      readonly mtuBytes: number;
      readonly subnets: NetworkWant["subnets"];
    } & OfNetwork)
  | ({
      readonly kind: "remove-endpoint";
      readonly port: string;
      readonly mac: Mac | undefined;
    } & Pick<OfNetwork, "vni">)
  | { readonly kind: "remove-vxlan"; readonly vni: number }
  | { readonly kind: "remove-network"; readonly vni: number };
