// Volumes of this node.
import type { Refusal } from "../../common/fault.js";

export interface Volume {
  readonly name: string;
  readonly driver: "local";
  readonly mountpoint: string;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Made for one container, without a name of its own. */
  readonly anonymous: boolean;
}

export interface Volumes {
  list(): readonly Volume[];
  get(name: string): Volume | Refusal;
  /** Again with the same name answers the same volume; an empty name is chosen (64 hexadecimal digits). */
  create(wish: {
    readonly name: string;
    readonly driver: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly options: Readonly<Record<string, string>>;
  }): Promise<Volume | Refusal>;
  /** Refused while a container refers to it. */
  remove(name: string, force: boolean): Promise<Refusal | undefined>;
  /** Unused ones; the nameless only, unless `all`. */
  prune(
    all: boolean,
    keep: (volume: Volume) => boolean,
  ): Promise<{ readonly removed: readonly string[]; readonly bytes: number }>;
}
