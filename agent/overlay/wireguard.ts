// What a WireGuard device has and what can be changed of it, whoever drives it: the kernel or wireguard-go.
import type { Ip } from "../../common/address.js";

/** Keys are base64, as wg(8) shows them. */
export interface WireguardDevice {
  /** Empty: it has no key. */
  readonly publicKey: string;
  /** UDP; 0: none as yet. */
  readonly port: number;
  /** By public key. */
  readonly peers: ReadonlyMap<string, WireguardPeer>;
}

export interface WireguardPeer {
  /** Where its packets were last seen to come from, or where it was said to be: "192.168.33.11:4788"; empty: nobody knows. */
  readonly endpoint: string;
  /** What it may send from and is sent to: addresses with prefix length. */
  readonly allowed: readonly string[];
  /** Of the last handshake, in Unix milliseconds; 0: there was none. */
  readonly handshakeMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export type PeerChange =
  | { readonly kind: "remove"; readonly publicKey: string }
  | {
      readonly kind: "put";
      readonly publicKey: string;
      readonly endpoint: Ip;
      readonly port: number;
      /** The one address that it may send from and is sent to from now on; undefined: it keeps what it has. */
      readonly address: Ip | undefined;
    };

/** What is left out stays as it is. Peers are changed in order. */
export interface DeviceChange {
  readonly privateKey?: Uint8Array;
  readonly port?: number;
  readonly peers: readonly PeerChange[];
}
