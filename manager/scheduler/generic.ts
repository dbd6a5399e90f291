// Resources besides CPU and memory: some are alike and counted ("gpu" 4), some have names and are given
// one by one. What a task was given stands in the task.
import type { GenericResource } from "../../proto/gen/service.js";
import type { NodeResource } from "../../proto/gen/types.js";

interface Stock {
  /** Of those that are alike; may fall below zero when the node offers less than before. */
  count: number;
  /** Of those with names: the free ones, in the node's order. */
  readonly names: Set<string>;
  readonly isNamed: boolean;
}

export class GenericStock {
  readonly #kinds = new Map<string, Stock>();

  constructor(offers: readonly NodeResource[]) {
    for (const { kind, value, names } of offers) {
      const isNamed = names.length > 0;
      this.#kinds.set(kind, { count: isNamed ? 0 : value, names: new Set(names), isNamed });
    }
  }

  /** What would be given; or the kind that is short. Nothing is taken yet. */
  choose(
    wanted: readonly GenericResource[],
  ): { readonly given: readonly GenericResource[] } | { readonly short: string } {
    const given: GenericResource[] = [];
    const taken = new Set<string>();
    for (const { kind, value, namedValue } of wanted) {
      const stock = this.#kinds.get(kind);
      if (stock === undefined) return { short: kind };
      if (!stock.isNamed) {
        if (namedValue !== "" || stock.count < value) return { short: kind };
        given.push({ kind, value, namedValue: "" });
        continue;
      }
      const free = [...stock.names].filter((name) => !taken.has(`${kind} ${name}`));
      const names = namedValue === "" ? free.slice(0, value) : free.filter((n) => n === namedValue);
      if (names.length < (namedValue === "" ? value : 1)) return { short: kind };
      for (const name of names) {
        taken.add(`${kind} ${name}`);
        given.push({ kind, value: 0, namedValue: name });
      }
    }
    return { given };
  }

  take(given: readonly GenericResource[]): void {
    for (const { kind, value, namedValue } of given) {
      const stock = this.#kinds.get(kind);
      if (stock === undefined) continue;
      if (namedValue === "") stock.count -= value;
      else stock.names.delete(namedValue);
    }
  }

  giveBack(given: readonly GenericResource[]): void {
    for (const { kind, value, namedValue } of given) {
      const stock = this.#kinds.get(kind);
      if (stock === undefined) continue;
      if (namedValue === "") stock.count += value;
      else stock.names.add(namedValue);
    }
  }
}
