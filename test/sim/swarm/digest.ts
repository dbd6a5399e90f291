// A digest of a manager's whole state that costs what changed: the sum of its objects' hashes, so that the order in
// which they came does not matter, and what is read again from a snapshot has the same.
import {
  type Change,
  itemOf,
  KINDS,
  type Kind,
  type Objects,
} from "../../../manager/store/objects.js";
import type { StoreChange, StoreView } from "../../../manager/store/view.js";
import { StoreObject } from "../../../proto/gen/store.js";

export class StateDigest {
  #low = 0;
  #high = 0;

  constructor(view: StoreView) {
    this.restart(view);
  }

  get text(): string {
    return `${this.#high.toString(16)}.${this.#low.toString(16)}`;
  }

  restart(view: StoreView): void {
    this.#low = 0;
    this.#high = 0;
    for (const [kind, object] of objectsOf(view)) this.#add(kind, object, 1);
  }

  note({ changed }: StoreChange): void {
    for (const { kind, before, after } of changed) {
      if (before !== undefined) this.#add(kind, before, -1);
      if (after !== undefined) this.#add(kind, after, 1);
    }
  }

  #add(kind: Kind, object: Objects[Kind], sign: 1 | -1): void {
    const [low, high] = hashOf(kind, object);
    this.#low = (this.#low + sign * low) >>> 0;
    this.#high = (this.#high + sign * high) >>> 0;
  }
}

export function* objectsOf(view: StoreView): Iterable<readonly [Kind, Objects[Kind]]> {
  const cluster = view.cluster();
  for (const kind of KINDS) {
    if (kind === "cluster") {
      if (cluster !== undefined) yield [kind, cluster];
    } else if (kind === "quarantine") {
      const networks = [...view.networks()].map(({ id }) => id);
      for (const id of ["", ...networks]) for (const each of view.resting(id)) yield [kind, each];
    } else {
      const all: Iterable<Objects[Kind]> = {
        node: () => view.nodes(),
        network: () => view.networks(),
        endpoint: () => view.endpoints(),
        secret: () => view.secrets(),
        config: () => view.configs(),
        service: () => view.services(),
        task: () => view.tasks(),
        policy: () => view.policies(),
      }[kind]();
      for (const object of all) yield [kind, object];
    }
  }
}

/** As if each had just been made. */
export function asChanges(view: StoreView): readonly Change[] {
  return [...objectsOf(view)].map(
    ([kind, after]) => ({ kind, id: after.id, before: undefined, after }) as Change,
  );
}

/** Objects never change, and are the same in memory from one change to the next. */
const known = new WeakMap<object, readonly [number, number]>();

function hashOf(kind: Kind, object: Objects[Kind]): readonly [number, number] {
  let hash = known.get(object);
  if (hash === undefined) {
    hash = fnv(StoreObject.encode({ object: itemOf(kind, object) }).finish());
    known.set(object, hash);
  }
  return hash;
}

// FNV-1a (draft-eastlake-fnv), twice with other beginnings: 64 bits are enough to see a difference by.
function fnv(bytes: Uint8Array): readonly [number, number] {
  let low = 0x811c9dc5;
  let high = 0x050c5d1f;
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x01000193) + 1;
  }
  return [low >>> 0, high >>> 0];
}
