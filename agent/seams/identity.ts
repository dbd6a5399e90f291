// What the node keeps of itself on its disk, and how its certificate comes and is renewed.
import type { Refusal } from "../../common/fault.js";
import type { Availability, Role } from "../../proto/gen/types.js";
import type { WireguardKey } from "../overlay/wireguard-key.js";

/** PEM: PKCS #8 key, certificate chain (leaf first), the swarm's root. */
export interface NodeIdentity {
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  readonly root: Uint8Array;
}

/** node.json. `role` is what the certificate says; addresses are "host:port" but for `dataPathAddr`. */
export interface NodeRecord {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly role: "manager" | "worker";
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly dataPathPort: number;
  readonly managers: readonly { readonly nodeId: string; readonly addr: string }[];
  /** Cluster.generation (proto/types.proto) as it was heard last; not there: 0. */
  readonly generation?: number;
}

/** Whole and durable, or unchanged. `load` throws Fault STATE_DAMAGED rather than guess. */
export interface NodeDisk {
  load(): Promise<NodeRecord | undefined>;
  save(record: NodeRecord): Promise<void>;
  clear(): Promise<void>;
}
export interface IdentityDisk {
  load(): Promise<NodeIdentity | SealedIdentity | undefined>;
  /** The identity whose key is sealed, with its key opened; undefined: `unlockKey` does not open it. */
  unseal(unlockKey: Uint8Array): Promise<NodeIdentity | undefined>;
  /** The node's key as the manager process has it; undefined: it is not the certificate's. Sealed with that key then. */
  replaceKey(key: Uint8Array, unlockKey: Uint8Array): Promise<NodeIdentity | undefined>;
  /** The key is sealed as it was, or as `sealWith` said last. */
  save(identity: NodeIdentity): Promise<void>;
  /** The node's key on the disk is sealed with this from here on; undefined: it is not. Only once it has been opened. */
  sealWith(unlockKey: Uint8Array | undefined): Promise<void>;
  clear(): Promise<void>;
}

/** Of a manager in an autolocked swarm: the key on the disk needs the unlock key. */
export interface SealedIdentity {
  readonly sealed: true;
  readonly certificate: Uint8Array;
  readonly root: Uint8Array;
}

/** The node's WireGuard key, for its owner alone. A damaged one is none. It is removed with the identity. */
export interface WireguardKeyDisk {
  load(): Promise<WireguardKey | undefined>;
  save(key: WireguardKey): Promise<void>;
}

/** A new key (PKCS #8 PEM) with a certificate request (PKCS #10 DER) that it signed. */
export interface KeyAndRequest {
  readonly key: Uint8Array;
  readonly csr: Uint8Array;
}
export interface Issued {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly role: Role;
  readonly certificate: Uint8Array;
  readonly root: Uint8Array;
  readonly dataPathPort: number;
  /** Another node's; empty: none is known. */
  readonly dataPathAddr: string;
}

/** The swarm's certificate authority, asked at one manager's address. Faults name address and cause. */
export interface CertificateDoor {
  newKey(): Promise<KeyAndRequest>;
  /** Proves the manager by the token's digest before the token is sent. Takes at most `dialMs` + one request. */
  join(
    addr: string,
    token: string,
    csr: Uint8Array,
    about: {
      readonly availability: Availability;
      readonly hostname: string;
      readonly remoteAddr: string;
    },
    signal: AbortSignal,
  ): Promise<Issued | Refusal>;
  /** A new certificate for the same key, with the role that the swarm wants of this node now. */
  renew(addr: string, identity: NodeIdentity, signal: AbortSignal): Promise<Issued | Refusal>;
}
