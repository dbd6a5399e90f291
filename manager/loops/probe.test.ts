import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { ProbeRequest, ProbeResult } from "../../proto/gen/control.js";
import type { Probe } from "../../proto/gen/dispatcher.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { Probes } from "./probe.js";
import type { Sessions } from "./sessions.js";

test("results that come with the last report, while earlier ones are handed on, are handed on too", async () => {
  const swarm = new SwarmState();
  const node = swarm.node("h1");
  const network = swarm.network({ name: "overnet", attachable: true });
  swarm.attach(network.id, { node: node.id });
  const asked: Probe[] = [];
  const sessions = { probe: (_node: string, probe: Probe) => asked.push(probe) > 0 };
  const probes = new Probes(systemClock);
  const report = (name: string, done: boolean) =>
    probes.report(node.id, {
      probeId: asked[0]?.probeId ?? 0,
      results: [ProbeResult.fromPartial({ fromEndpointId: name })],
      done,
    });
  const results = probes.run(
    ProbeRequest.fromPartial({ networkId: network.id }),
    swarm.view,
    sessions as unknown as Sessions,
    AbortSignal.timeout(15_000),
  );
  const iterator = results[Symbol.asyncIterator]();
  const first = iterator.next();
  report("first", false);
  expect((await first).value?.fromEndpointId).toBe("first");
  // The consumer has not asked for more yet, and the node is done.
  report("last", true);
  expect((await iterator.next()).value?.fromEndpointId).toBe("last");
  expect((await iterator.next()).done).toBe(true);
});
