// Changes of the store as events for people: Docker's kinds, actions and attributes.

import { Signal } from "../../common/watch.js";
import type { SwarmEvent } from "../../proto/gen/control.js";
import { NodeState, Role } from "../../proto/gen/types.js";
import { type Change, versionOf } from "../store/objects.js";
import type { Store } from "../store/store.js";

// Choice: a watcher that is this far behind loses the oldest events; they are for reading, not for deciding.
const WAITING_MAX = 10_000;

/** Live events until aborted. */
export async function* followEvents(
  store: Store,
  nowMs: () => number,
  signal: AbortSignal,
): AsyncIterable<SwarmEvent> {
  const waiting: SwarmEvent[] = [];
  const wake = new Signal();
  const unsubscribe = store.changes.subscribe(({ changed }) => {
    for (const change of changed) {
      const event = eventOf(change, nowMs());
      if (event) waiting.push(event);
    }
    if (waiting.length > WAITING_MAX) waiting.splice(0, waiting.length - WAITING_MAX);
    if (waiting.length > 0) wake.notify();
  });
  try {
    while (!signal.aborted) {
      await wake.wait(signal);
      yield* waiting.splice(0);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    unsubscribe();
  }
}

function eventOf(change: Change, timeMs: number): SwarmEvent | undefined {
  const { kind, id } = change;
  if (kind !== "network" && kind !== "node") return undefined;
  const object = change.after ?? change.before;
  const name =
    kind === "node"
      ? (change.after ?? change.before)?.description?.hostname
      : (change.after ?? change.before)?.spec?.name;
  const action = !change.before ? "create" : !change.after ? "remove" : "update";
  const attributes = kind === "node" ? nodeAttributes(change) : {};
  const stamp = object?.meta?.updatedAtMs;
  // A removed object's own time is of its last change, not of its removal.
  const when = action === "remove" || !stamp || versionOf(object) === 0 ? timeMs : stamp;
  return { kind, action, id, name: name ?? "", timeMs: when, attributes };
}

/** Docker's: "state.old" and "state.new" when the state changed, and likewise the others. */
function nodeAttributes(change: Change & { kind: "node" }): Record<string, string> {
  const { before, after } = change;
  if (!before || !after) return {};
  const attributes: Record<string, string> = {};
  const note = (name: string, old: string, now: string) => {
    if (old === now) return;
    attributes[`${name}.old`] = old;
    attributes[`${name}.new`] = now;
  };
  const state = (value: NodeState) => NodeState[value].toLowerCase();
  const role = (value: Role) => Role[value].toLowerCase();
  note("state", state(before.state), state(after.state));
  if (before.spec && after.spec) {
    note("role", role(before.spec.role), role(after.spec.role));
  }
  return attributes;
}
