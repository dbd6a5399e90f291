// What became of a container while there was no agent, and what has to be done about it.
import { unreachable } from "../../common/fault.js";
import type { Adopted, Supervised } from "../task/runtime.js";
import type { ContainerEntry } from "./container-entry.js";
import { clearAway, type StartTools } from "./container-start.js";

// Docker's, for a container of which nobody knows how it ended.
const LOST = 255;

/** Its supervisor if it runs. Everything that a life left behind is cleared away if it does not. */
export async function adoptContainer(
  entry: ContainerEntry,
  tools: StartTools,
): Promise<Supervised | undefined> {
  const { id, phase, life, spec, endpoints } = entry.record;
  switch (phase) {
    case "created":
    case "ended":
    case "removing":
      // The agent may have been killed between the end and the giving back.
      if (endpoints.length > 0) await clearAway(entry, tools);
      return undefined;
    case "preparing":
    case "starting":
    case "running": {
      const found = await tools.runtime.adopt(id, life, spec);
      if (found.kind === "running") return goOn(entry, tools, found);
      const exit =
        found.kind === "exited"
          ? found.exit
          : { exitCode: LOST, error: unknownEnd(phase), atMs: tools.clock.nowMs() };
      await entry.mustGoOn({ kind: "ended", ...exit }, tools.log);
      await clearAway(entry, tools);
      return undefined;
    }
    default:
      return unreachable(phase);
  }
}

async function goOn(
  entry: ContainerEntry,
  tools: StartTools,
  found: Extract<Adopted, { kind: "running" }>,
): Promise<Supervised> {
  const { id, spec } = entry.record;
  // The agent was killed after the command was told to go and before it wrote down that it did.
  if (entry.record.phase === "starting") {
    await entry.step({ kind: "ran", pid: found.pid, atMs: found.atMs });
  }
  if (spec.networkMode !== "host") entry.sandboxPath = tools.placing.sandbox(id);
  for (const endpoint of entry.record.endpoints) {
    const { interfaceName } = endpoint;
    tools.placing.own(endpoint.id, { sandbox: { kind: "own", id }, interfaceName });
  }
  return found.supervised;
}

function unknownEnd(phase: "preparing" | "starting" | "running"): string {
  return phase === "running"
    ? "the machine restarted while the container ran"
    : "the agent ended while the container was being started";
}
