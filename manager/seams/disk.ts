// What a manager keeps: its log, which seat it holds, and what both are encrypted with.
import type { Topic } from "../../common/watch.js";
import type { Entry, HardState, RaftSnapshot } from "../../proto/gen/raft.js";

/** What the disk holds, as read at start. `entries` follow the snapshot without a gap. */
export interface StoredLog {
  readonly hardState: HardState;
  readonly snapshot: RaftSnapshot | undefined;
  readonly entries: readonly Entry[];
  /** Bytes cut from a torn tail; 0 normally. Damage anywhere else is a Fault "LOG_DAMAGED" with file and offset. */
  readonly tornBytes: number;
}

/** What can be read of a log that is damaged, and of one that is not. */
export interface Salvaged {
  readonly stored: Omit<StoredLog, "tornBytes">;
  /** The first damage; `knownLost` entries, at least, come after what is in `stored`. */
  readonly damage:
    | { readonly file: string; readonly offset: number; readonly knownLost: number }
    | undefined;
}

/** The durable log. One user at a time; calls are made in sequence. */
export interface LogDisk {
  load(): Promise<StoredLog>;
  /**
   * Writes entries (those at or after an existing index replace the tail from there) and the hard
   * state, and resolves when they would survive power loss. A full disk is Fault "DISK_FULL" and
   * leaves what was there before readable; any other failure is final for the process. `atOnce`: it
   * may keep the whole process waiting meanwhile, if that is sooner done.
   */
  persist(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    atOnce?: boolean,
  ): Promise<void>;
  /** Durable when resolved; then log segments that lie before `keepFrom` may be deleted. */
  saveSnapshot(snapshot: RaftSnapshot, keepFrom: number): Promise<void>;
  close(): Promise<void>;
}

export interface ManagerIdentity {
  readonly raftId: number;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  /** The manager by which it joined; empty on the one that made the swarm. */
  readonly joinedBy: string;
  /** While the log is being begun anew: the number of the seat that it will have in it; else not there. */
  readonly recoversAs?: number | undefined;
}

/** PEM, each. */
export interface TlsIdentity {
  readonly certificate: Uint8Array;
  readonly privateKey: Uint8Array;
  readonly rootCaCert: Uint8Array;
}

/** What the disk is encrypted with, and whether the swarm's unlock key seals that (docs/autolock.md). */
export interface ManagerKeys {
  /** Sealed, and the unlock key has not been given: nothing else on the disk can be read. */
  readonly locked: boolean;
  /** Empty: not sealed. */
  readonly unlockKey: Uint8Array;
  /** Meta.version of the cluster that this unlock key, or its absence, is of; 0 before the first change. */
  readonly version: number;
  /** At every change of the three. */
  readonly changed: Topic<void>;
  /** False, and nothing has changed: it is not the key. */
  unlock(key: Uint8Array): boolean;
  /**
   * From here on `key` opens the disk, or nothing is needed if it is empty; what is written from now on is
   * encrypted with a new data key. Durable when resolved; the old key opens it until then. DISK_FULL, FILE_WRITE.
   */
  seal(key: Uint8Array, version: number): Promise<void>;
}

/** Which manager the node's folder belongs to. What is saved is durable when it resolves. */
export interface ManagerDisk {
  /** For faults to name. */
  readonly path: string;
  readonly keys: ManagerKeys;
  /** `undefined` when this folder has never held a manager. Fault IDENTITY_DAMAGED. */
  loadIdentity(): Promise<ManagerIdentity | undefined>;
  saveIdentity(identity: ManagerIdentity): Promise<void>;
  /** `undefined` when there is none. Fault IDENTITY_DAMAGED. */
  loadTls(): Promise<TlsIdentity | undefined>;
  saveTls(tls: TlsIdentity): Promise<void>;
  /** What can be read of the log, which nobody uses meanwhile. Faults: KEY_MISSING, KEY_DAMAGED, LOG_LOST (nothing). */
  salvage(): Promise<Salvaged>;
  /**
   * The log is this snapshot from now on, whole or not at all, whatever it was before; nobody uses it meanwhile.
   * Answers where what was there before is kept. Fault DISK_FULL: it is as it was.
   */
  beginLog(snapshot: RaftSnapshot): Promise<string>;
  /** Everything that a manager knows goes, its log too. */
  erase(): Promise<void>;
}
