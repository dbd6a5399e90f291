// On a manager, what happens to objects of the swarm anywhere in the swarm is an event here too.
import type { ClientReadableStream } from "@grpc/grpc-js";
import type { Clock } from "../../common/clock.js";
import type { Timing } from "../../common/timing.js";
import type { SwarmEvent } from "../../proto/gen/control.js";
import type { ManagerHost, NodeEvent } from "../seams.js";
import type { EventPublisher } from "./placing.js";

/** Until the signal is aborted; the local manager is asked again whenever the stream ends. */
export async function followSwarmEvents(
  manager: ManagerHost,
  events: EventPublisher,
  clock: Clock,
  timing: Timing,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    if (manager.started) await followOnce(manager, events, signal);
    await clock.sleep(timing.retryMaxMs / 3, signal).catch(() => {});
  }
}

async function followOnce(
  manager: ManagerHost,
  events: EventPublisher,
  signal: AbortSignal,
): Promise<void> {
  const stream: ClientReadableStream<SwarmEvent> = manager.control().watchEvents({});
  const cancel = () => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    stream.on("error", () => {});
    for await (const event of stream) events.publish(nodeEventOf(event as SwarmEvent));
  } catch {
    // The manager stopped, or lost its leader; the loop asks again.
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

const KINDS = ["network", "node", "service", "secret", "config"] as const;

function nodeEventOf(event: SwarmEvent): NodeEvent {
  return {
    type: KINDS.find((kind) => kind === event.kind) ?? "network",
    action: event.action,
    id: event.id,
    attributes: { name: event.name, ...event.attributes },
    scope: "swarm",
    timeNs: BigInt(event.timeMs) * 1_000_000n,
  };
}
