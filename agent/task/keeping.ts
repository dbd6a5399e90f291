// What the loops of containers and attachments keep on disk, and what they look at: promises that
// `agent/disk` and `agent/runtime` keep, and their twins in the tests.
import type { Endpoint, Network } from "../../proto/gen/types.js";
import type { AttachWish } from "../seams.js";
import type { ContainerRecord } from "./life.js";

/** One record a container, each replaced whole and atomically. */
export interface ContainerDisk {
  /** Damaged ones are left where they are and reported by `damaged`. */
  load(): Promise<{
    readonly records: readonly ContainerRecord[];
    readonly damaged: readonly string[];
  }>;
  save(record: ContainerRecord): Promise<void>;
  /** With everything in the container's folder, logs too. */
  remove(id: string): Promise<void>;
}

/** Ids of endpoints that are to be given back; the list is replaced whole and atomically. */
export interface ReleaseDisk {
  load(): Promise<readonly string[]>;
  save(endpointIds: readonly string[]): Promise<void>;
}

/** One attachment on disk. Its id is its endpoint's. */
export interface AttachmentRecord {
  readonly id: string;
  readonly wish: AttachWish;
  readonly interfaceName: string;
  readonly createdAtMs: number;
  /** Undefined: it was being asked for when this was written. */
  readonly given: { readonly endpoint: Endpoint; readonly network: Network } | undefined;
  /** What the swarm did to it; empty: nothing. */
  readonly trouble: string;
}

export interface AttachmentDisk {
  load(): Promise<readonly AttachmentRecord[]>;
  save(records: readonly AttachmentRecord[]): Promise<void>;
}

export type NamespaceLook =
  | { readonly kind: "namespace"; readonly inode: string; readonly isOwn: boolean }
  | { readonly kind: "missing" }
  | { readonly kind: "other"; readonly why: string };

/** Looks at a file that should be a network namespace. */
export type LookAtNamespace = (path: string) => NamespaceLook;
