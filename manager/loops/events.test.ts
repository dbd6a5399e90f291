import { expect, test } from "vitest";
import type { SwarmEvent } from "../../proto/gen/control.js";
import {
  changeService,
  makeSecret,
  makeService,
  makeTask,
  serviceSpec,
} from "../../test/fakes/services.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { removeSecret } from "../control/secret.js";
import { followEvents } from "./events.js";

/** The first `count` events of what `act` does, without ids and times. */
async function eventsOf(swarm: SwarmState, count: number, act: () => void) {
  const stop = new AbortController();
  const events: SwarmEvent[] = [];
  const following = (async () => {
    for await (const event of followEvents(swarm.store, () => 5, stop.signal)) {
      events.push(event);
      if (events.length === count) stop.abort();
    }
  })();
  await Promise.resolve();
  act();
  await following;
  return events.map(({ kind, action, name, attributes }) => ({ kind, action, name, attributes }));
}

test("services and secrets are told of with Docker's attributes, tasks are not", async () => {
  const swarm = new SwarmState();
  const events = await eventsOf(swarm, 6, () => {
    const service = makeService(swarm, serviceSpec());
    makeTask(swarm, service);
    const mode = { $case: "replicated", value: { replicas: 3 } } as const;
    changeService(swarm, service.id, serviceSpec({ mode }));
    changeService(swarm, service.id, serviceSpec({ mode }, { image: "alpine:3" }));
    changeService(swarm, service.id, undefined, { rollback: true });
    const id = makeSecret(swarm, "pass");
    swarm.write((draft) => removeSecret(draft, { id }));
  });
  const update = { kind: "service", action: "update", name: "web" };
  expect(events).toEqual([
    { kind: "service", action: "create", name: "web", attributes: {} },
    { ...update, attributes: { "replicas.old": "1", "replicas.new": "3" } },
    {
      ...update,
      attributes: {
        "image.old": "alpine",
        "image.new": "alpine:3",
        "updatestate.new": "updating",
      },
    },
    {
      ...update,
      attributes: {
        "image.old": "alpine:3",
        "image.new": "alpine",
        "updatestate.old": "updating",
        "updatestate.new": "rollback_started",
      },
    },
    { kind: "secret", action: "create", name: "pass", attributes: {} },
    { kind: "secret", action: "remove", name: "pass", attributes: {} },
  ]);
});

test("a network that tasks are leaving is told of as removed once, when it is asked for", async () => {
  const swarm = new SwarmState();
  const { id } = swarm.network({ name: "net" });
  const told = await eventsOf(swarm, 2, () => {
    const network = swarm.view.network(id);
    if (network === undefined) return;
    swarm.must((draft) => {
      draft.update("network", { ...network, leaving: true });
      return true;
    });
    swarm.must((draft) => {
      draft.remove("network", id);
      return true;
    });
    makeSecret(swarm, "pass");
  });
  expect(told.map(({ kind, action }) => `${kind} ${action}`)).toEqual([
    "network remove",
    "secret create",
  ]);
});
