// The keys of one manager's disk: data keys that the log, the snapshots and the certificate's key are
// encrypted with, and the swarm's unlock key that seals those (key-file.ts). docs/autolock.md.
//
// Invariant: a data key is in the file before anything is encrypted with it, and as long as anything is.
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, replaceFile } from "../../common/durable-files.js";
import { assert, Fault } from "../../common/fault.js";
import { sameKey } from "../../common/unlock-key.js";
import { Topic } from "../../common/watch.js";
import type { ManagerKeys } from "../seams.js";
import {
  DATA_KEY_BYTES,
  decodeKeyFile,
  encodeKeyFile,
  type OpenKeys,
  openKeys,
  type SealedKeys,
} from "./key-file.js";
import type { StateDir } from "./state-dir.js";

export const KEY_FILE = "data-key.json";
const NONE = { kind: "none", version: 0 } as const;

export interface KeyringOptions {
  /** For tests that look at every moment of a change. */
  readonly replace?: typeof replaceFile;
}

export class Keyring implements ManagerKeys {
  readonly changed = new Topic<void>();
  /** Encrypts with the new data key what is not in the log; a crash before leaves it with one that the ring has. */
  onSealed: () => Promise<void> = async () => {};
  #last: Promise<unknown> = Promise.resolve();
  /** What the certificate's key is encrypted with. */
  #tlsKey: Uint8Array | undefined;

  private constructor(
    private readonly dir: StateDir,
    private state: OpenKeys | SealedKeys | typeof NONE,
    private readonly replace: typeof replaceFile,
  ) {}

  /** Fault KEY_DAMAGED. */
  static async open(dir: StateDir, options: KeyringOptions = {}): Promise<Keyring> {
    const path = join(dir.path, KEY_FILE);
    const bytes = await readIfThere(path);
    const state = bytes === undefined ? NONE : decodeKeyFile(bytes.toString("utf8"));
    if (state === undefined)
      throw new Fault("KEY_DAMAGED", { path, why: "restore it from a backup" });
    return new Keyring(dir, state, options.replace ?? replaceFile);
  }

  /** Of a folder that is not used. */
  static none(dir: StateDir): Keyring {
    return new Keyring(dir, NONE, replaceFile);
  }

  get locked(): boolean {
    return this.state.kind === "sealed";
  }
  get version(): number {
    return this.state.version;
  }
  get unlockKey(): Uint8Array {
    return this.state.kind === "open" ? this.state.unlockKey : new Uint8Array();
  }

  /** The one to encrypt with from now on. */
  get current(): Uint8Array {
    const [key] = this.all;
    assert(key, "a ring that is open has a key");
    return key;
  }
  /** The one in use first. */
  get all(): readonly Uint8Array[] {
    assert(this.state.kind === "open", "only an open ring is asked for keys");
    return this.state.keys;
  }

  unlock(key: Uint8Array): boolean {
    if (this.state.kind !== "sealed") return false;
    const open = openKeys(this.state, key);
    if (open === undefined) return false;
    this.state = open;
    this.changed.publish();
    return true;
  }

  /** Makes the first data key when there is none. Faults KEY_MISSING: something is encrypted with it; KEY_LOCKED. */
  ensure(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.state.kind === "none") await this.#make(new Uint8Array(), 0);
      if (this.state.kind === "sealed") throw new Fault("KEY_LOCKED", { path: this.#path });
    });
  }

  async seal(unlockKey: Uint8Array, version: number): Promise<void> {
    await this.#inTurn(async () => {
      const { state } = this;
      if (state.kind === "none") return this.#make(unlockKey, version);
      if (state.kind === "sealed") throw new Fault("KEY_LOCKED", { path: this.#path });
      // What was read with the old unlock key tells nothing of what is written from now on.
      const keys = [randomBytes(DATA_KEY_BYTES), ...state.keys];
      await this.#save({ kind: "open", unlockKey, version, keys });
    });
    await this.onSealed();
    this.changed.publish();
  }

  /** The certificate's key is encrypted with this one now. */
  holdForTls(key: Uint8Array): void {
    this.#tlsKey = key;
  }

  /** Forgets the keys that nothing is encrypted with; `inLog` are those that something in the log is. */
  forgetOthers(inLog: readonly Uint8Array[]): Promise<void> {
    return this.#inTurn(async () => {
      const { state } = this;
      if (state.kind !== "open") return;
      const used = [...inLog, ...(this.#tlsKey === undefined ? [] : [this.#tlsKey])];
      const keys = state.keys.filter(
        (key, i) => i === 0 || used.some((each) => sameKey(each, key)),
      );
      if (keys.length < state.keys.length) await this.#save({ ...state, keys });
    });
  }

  /** The file went with everything else in the folder. */
  erased(): void {
    this.state = NONE;
    this.#tlsKey = undefined;
    this.changed.publish();
  }

  get #path(): string {
    return join(this.dir.path, KEY_FILE);
  }

  async #make(unlockKey: Uint8Array, version: number): Promise<void> {
    const names = await Promise.all(["log", "snapshots", "tls"].map((name) => this.#list(name)));
    if (names.flat().length > 0) {
      throw new Fault("KEY_MISSING", {
        path: this.#path,
        why: "the log cannot be read without it",
      });
    }
    const keys = [randomBytes(DATA_KEY_BYTES)];
    await this.#save({ kind: "open", unlockKey, version, keys });
    this.changed.publish();
  }

  async #save(state: OpenKeys): Promise<void> {
    await this.replace(this.#path, encodeKeyFile(state));
    this.state = state;
  }

  #list(name: string): Promise<string[]> {
    return readdir(join(this.dir.path, name)).catch(() => []);
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
