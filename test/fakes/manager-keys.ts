// The keys of a disk in memory: what the real ones do, but for encrypting anything.
import { Fault } from "../../common/fault.js";
import { sameKey } from "../../common/unlock-key.js";
import { Topic } from "../../common/watch.js";
import type { ManagerKeys } from "../../manager/seams.js";

export class MemoryKeys implements ManagerKeys {
  readonly changed = new Topic<void>();
  unlockKey: Uint8Array = new Uint8Array();
  version = 0;
  #sealed: Uint8Array | undefined;

  get locked(): boolean {
    return this.#sealed !== undefined;
  }

  unlock(key: Uint8Array): boolean {
    if (this.#sealed === undefined || !sameKey(key, this.#sealed)) return false;
    this.unlockKey = this.#sealed;
    this.#sealed = undefined;
    this.changed.publish();
    return true;
  }

  async seal(key: Uint8Array, version: number): Promise<void> {
    if (this.locked) throw new Fault("KEY_LOCKED");
    this.unlockKey = key;
    this.version = version;
    this.changed.publish();
  }

  /** The process has ended: what it knew is gone, what is on the disk stays. */
  forget(): void {
    if (this.unlockKey.length === 0) return;
    this.#sealed = this.unlockKey;
    this.unlockKey = new Uint8Array();
  }

  erased(): void {
    this.#sealed = undefined;
    this.unlockKey = new Uint8Array();
    this.version = 0;
    this.changed.publish();
  }
}
