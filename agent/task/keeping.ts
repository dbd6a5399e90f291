// What the loops of containers and attachments keep on disk, and what they look at: promises that
// `agent/disk` and `agent/runtime` keep, and their twins in the tests.
import type { Readable } from "node:stream";
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

/** One volume on disk. */
export interface VolumeRecord {
  readonly name: string;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

/** Volumes as folders. Paths that it answers are of the machine. */
export interface VolumeDisk {
  load(): Promise<readonly VolumeRecord[]>;
  /** Makes the folder, then the record: what has no record is no volume. */
  create(record: VolumeRecord): Promise<void>;
  /** With all that is in it; unmounts it first. */
  remove(name: string): Promise<void>;
  mountpoint(name: string): string;
  /** What is in it, as du(1) counts. */
  bytes(name: string): Promise<number>;
  isEmpty(name: string): Promise<boolean>;
  /** The tar holds one folder, which becomes the volume, its owner and rights too. */
  fill(name: string, tar: Readable): Promise<void>;
  /** Mounts what the options say over it; again is no error. Throws with the kernel's words. */
  mount(record: VolumeRecord): Promise<void>;
  unmount(name: string): Promise<void>;
  /** The real path of what is below; undefined: it is not there, or leads outside. */
  below(name: string, subpath: string): Promise<string | undefined>;
  /** Whether something is at a path of the machine; with `make`, a folder is made there when not. */
  hasSource(path: string, make: boolean): Promise<boolean>;
}
