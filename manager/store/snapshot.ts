// The state as bytes, in slices: a large one takes longer to encode than a leader may be silent.
import { type StoreObject, StoreSnapshot } from "../../proto/gen/store.js";
import type { SnapshotSlices } from "../seams.js";
import { type Item, itemOf, KINDS } from "./objects.js";
import type { Tables } from "./tables.js";

/** Of StoreSnapshot; a snapshot of another format is not read. */
export const SNAPSHOT_FORMAT = 1;

// Choice: some 10 ms of encoding.
const SLICE_OBJECTS = 2_000;
/** So many first letters of an id tell a thousand groups apart, each of which is soon sorted. */
const GROUP_LETTERS = 2;

/**
 * The same bytes on every manager that applied the same entries, and of the state at the first step: rows are never
 * changed, others take their place.
 */
export function* snapshotSlices(tables: Tables): SnapshotSlices {
  const kinds = KINDS.map((kind) => [...tables.all(kind)].map((object) => itemOf(kind, object)));
  // A message's encoding may be cut: objects that come later are appended to those before.
  const head = { format: SNAPSHOT_FORMAT, version: tables.revision, objects: [] };
  const parts: Uint8Array[] = [StoreSnapshot.encode(head).finish()];
  let slice: StoreObject[] = [];
  for (const items of kinds) {
    for (const object of inOrder(items)) {
      slice.push({ object });
      if (slice.length < SLICE_OBJECTS) continue;
      parts.push(encoded(slice));
      slice = [];
      yield;
    }
  }
  parts.push(encoded(slice));
  return Buffer.concat(parts);
}

function encoded(objects: StoreObject[]): Uint8Array {
  return StoreSnapshot.encode({ format: 0, version: 0, objects }).finish();
}

/** By id. */
function* inOrder(items: readonly Item[]): Iterable<Item> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const letters = item.value.id.slice(0, GROUP_LETTERS);
    const group = groups.get(letters);
    if (group === undefined) groups.set(letters, [item]);
    else group.push(item);
  }
  for (const letters of [...groups.keys()].sort()) {
    yield* (groups.get(letters) ?? []).sort((a, b) => (a.value.id < b.value.id ? -1 : 1));
  }
}
