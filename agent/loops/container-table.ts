// Which containers there are on this node, and by what names and ids they are found.
import { isRefusal, type Refusal } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import type { Random } from "../../common/random.js";
import { findByReference } from "../task/reference.js";
import * as words from "../task/words.js";
import type { ContainerEntry } from "./container-entry.js";

export class ContainerTable {
  readonly #entries = new Map<string, ContainerEntry>();
  /** Names of containers that are being created, and their ids. */
  readonly #reserved = new Map<string, string>();

  constructor(private readonly random: Random) {}

  get size(): number {
    return this.#entries.size;
  }

  /** In the order in which they came. */
  all(): readonly ContainerEntry[] {
    return [...this.#entries.values()];
  }

  add(entry: ContainerEntry): void {
    this.#entries.set(entry.record.id, entry);
  }

  delete(id: string): void {
    this.#entries.delete(id);
  }

  /** By its id, its name, or the beginning of its id. */
  find(ref: string): ContainerEntry | Refusal {
    const found = findByReference(
      this.#entries.values(),
      ref,
      (entry) => entry.record.id,
      (entry) => entry.record.spec.name,
    );
    if (found.kind === "one") return found.item;
    return found.kind === "none" ? words.noSuchContainer(ref) : words.ambiguousPrefix(ref);
  }

  findRunning(ref: string): ContainerEntry | Refusal {
    const entry = this.find(ref);
    if (isRefusal(entry)) return entry;
    if (entry.isRestarting) return words.isRestarting(entry.record);
    return entry.record.phase === "running" ? entry : words.notRunning(entry.record);
  }

  /** Nobody else gets the name until it is settled: the container is there by then, or never will be. */
  reserve(name: string, id: string): void {
    this.#reserved.set(name, id);
  }

  settled(name: string): void {
    this.#reserved.delete(name);
  }

  /** The id of the container that has the name, or is about to. */
  ownerOf(name: string): string | undefined {
    for (const { record } of this.#entries.values()) {
      if (record.spec.name === name) return record.id;
    }
    return this.#reserved.get(name);
  }

  /** Sandbox and socket are named by the first 12 digits, so those are unique too. */
  newId(): string {
    for (;;) {
      const id = newLocalId(this.random);
      const isUsed = [...this.#entries.keys(), ...this.#reserved.values()].some(
        (other) => words.shortId(other) === words.shortId(id),
      );
      if (!isUsed) return id;
    }
  }
}
