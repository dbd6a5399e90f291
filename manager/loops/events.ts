// Changes of the store as events for people: Docker's kinds, actions and attributes.

import { Signal } from "../../common/watch.js";
import type { SwarmEvent } from "../../proto/gen/control.js";
import { type Service, UpdateState } from "../../proto/gen/service.js";
import { NodeState, Role } from "../../proto/gen/types.js";
import { onlySilence } from "../dispatch/silence.js";
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
  if (change.kind === "node" && onlySilence(change.before, change.after)) return undefined;
  const about = describe(change);
  if (about === undefined) return undefined;
  const object = change.after ?? change.before;
  const action = actionOf(change);
  if (action === undefined) return undefined;
  const stamp = object?.meta?.updatedAtMs;
  // A removed object's own time is of its last change, not of its removal.
  const when = action === "remove" || !stamp || versionOf(object) === 0 ? timeMs : stamp;
  return { kind, action, id, timeMs: when, ...about };
}

/** `undefined`: it has been told already. */
function actionOf(change: Change): "create" | "update" | "remove" | undefined {
  const { kind, before, after } = change;
  if (before === undefined) return "create";
  // To a person a network is gone with the word that removes it.
  if (kind === "network" && before.leaving) return undefined;
  if (after === undefined || (kind === "network" && change.after?.leaving)) return "remove";
  return "update";
}

/** `undefined` for what is no event to a person. */
function describe(change: Change): Pick<SwarmEvent, "name" | "attributes"> | undefined {
  switch (change.kind) {
    case "node": {
      const name = (change.after ?? change.before)?.description?.hostname ?? "";
      return { name, attributes: nodeAttributes(change) };
    }
    case "service":
      return { name: nameOf(change), attributes: serviceAttributes(change) };
    case "network":
    case "secret":
    case "config":
      return { name: nameOf(change), attributes: {} };
    case "cluster":
    case "endpoint":
    case "quarantine":
    case "task":
    case "policy":
      return undefined;
  }
}

type Named = Change & { kind: "network" | "service" | "secret" | "config" };

function nameOf({ before, after }: Named): string {
  return (after ?? before)?.spec?.name ?? "";
}

/** Docker's (daemon/events.go): what of image, replicas and update state is another than before. */
function serviceAttributes(change: Change & { kind: "service" }): Record<string, string> {
  const { before, after } = change;
  if (!before || !after) return {};
  const attributes: Record<string, string> = {};
  const note = (name: string, of: (service: Service) => string) => {
    const [old, now] = [of(before), of(after)];
    if (old === now) return;
    if (old !== "") attributes[`${name}.old`] = old;
    if (now !== "") attributes[`${name}.new`] = now;
  };
  note("image", ({ spec }) => spec?.task?.container?.image ?? "");
  note("replicas", ({ spec }) =>
    spec?.mode?.$case === "replicated" ? String(spec.mode.value.replicas) : "",
  );
  note("updatestate", ({ updateStatus }) =>
    updateStatus === undefined || updateStatus.state === UpdateState.NONE
      ? ""
      : UpdateState[updateStatus.state].toLowerCase(),
  );
  return attributes;
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
  const renewed = after.expiredRenewal;
  if (renewed && renewed.renewedAtMs !== before.expiredRenewal?.renewedAtMs) {
    attributes["certificate.expired"] = new Date(renewed.expiredAtMs).toISOString();
  }
  return attributes;
}
