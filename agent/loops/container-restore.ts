// What became of a container while there was no agent, and what has to be done about it.
import { Fault, isRefusal, unreachable } from "../../common/fault.js";
import type { Adopted, Supervised } from "../task/runtime.js";
import type { ContainerEntry } from "./container-entry.js";
import { declareAgain } from "./container-networks.js";
import { clearAway, runtimeOf, type StartTools } from "./container-start.js";

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
      return undefined;
    case "ended":
    case "removing":
      // The agent may have been killed between the end and the giving back, or before all was forgotten.
      if (endpoints.length > 0 || hasLeft(entry, tools)) await clearAway(entry, tools);
      return undefined;
    case "preparing":
    case "starting":
    case "running": {
      const runtime = runtimeOf(spec, tools.runtimes);
      // Nobody can be asked now, so nothing is said of it: it may well run.
      if (isRefusal(runtime)) throw new Fault("NO_CONTAINERD", {}, runtime.message);
      const found = await runtime.adopt(id, life, spec);
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

function hasLeft({ record }: ContainerEntry, tools: StartTools): boolean {
  const runtime = runtimeOf(record.spec, tools.runtimes);
  return !isRefusal(runtime) && runtime.hasLeft(record.id);
}

async function goOn(
  entry: ContainerEntry,
  tools: StartTools,
  found: Extract<Adopted, { kind: "running" }>,
): Promise<Supervised> {
  // The agent was killed after the command was told to go and before it wrote down that it did.
  if (entry.record.phase === "starting") {
    await entry.step({ kind: "ran", pid: found.pid, atMs: found.atMs });
  }
  await tools.volumes.hold(entry.record.id, entry.record.mountPoints);
  await declareAgain(entry, tools);
  return found.supervised;
}

function unknownEnd(phase: "preparing" | "starting" | "running"): string {
  return phase === "running"
    ? "the machine restarted while the container ran"
    : "the agent ended while the container was being started";
}
