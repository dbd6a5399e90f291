// What a running container uses, and which processes it has: stats and top.
import { isRefusal } from "../../common/fault.js";
import type { ContainerStats } from "../seams.js";
import { type Answer, json, stream } from "./answer.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import { here } from "./http-error.js";
import { type Route, route } from "./router.js";
import { statsJson } from "./stats-json.js";

// dockerd looks once a second.
const INTERVAL_MS = 1_000;

export const USE_ROUTES: readonly Route[] = [
  route("GET", "/containers/{id}/stats", stats),
  route("GET", "/containers/{id}/top", top),
];

async function stats(call: Call): Promise<Answer> {
  const { id, spec } = here(call.node.containers.get(param(call, "id")));
  if (spec.runtime === "process") here(await call.node.containers.stats(id));
  if (queryFlag(call, "stream", true)) return stream("application/json", samples(call, id));
  const first = await sample(call, id);
  // A rate needs two moments, unless the client says that it keeps the earlier one itself.
  if (first === undefined || queryFlag(call, "one-shot")) {
    return json(shown(call, id, first, undefined));
  }
  await call.clock.sleep(INTERVAL_MS, call.signal);
  return json(shown(call, id, await sample(call, id), first));
}

async function* samples(call: Call, id: string): AsyncGenerator<string> {
  let before: ContainerStats | undefined;
  while (!call.signal.aborted) {
    const now = await sample(call, id);
    // It was removed.
    if (isRefusal(call.node.containers.get(id))) return;
    yield `${JSON.stringify(shown(call, id, now, before))}\n`;
    before = now;
    await call.clock.sleep(INTERVAL_MS, call.signal).catch(() => undefined);
  }
}

/** Undefined: it does not run. */
async function sample(call: Call, id: string): Promise<ContainerStats | undefined> {
  try {
    const found = await call.node.containers.stats(id);
    return isRefusal(found) ? undefined : found;
  } catch (error) {
    const now = call.node.containers.get(id);
    // It ended in this moment.
    if (isRefusal(now) || now.state !== "running") return undefined;
    throw error;
  }
}

function shown(
  call: Call,
  id: string,
  now: ContainerStats | undefined,
  before: ContainerStats | undefined,
): object {
  const container = here(call.node.containers.get(id));
  return statsJson(container, now, before, call.node.host().cgroupVersion);
}

async function top(call: Call): Promise<Answer> {
  const words = (queryText(call, "ps_args") || "-ef").split(/\s+/).filter((word) => word !== "");
  const { titles, rows } = here(await call.node.containers.top(param(call, "id"), words));
  return json({ Titles: titles, Processes: rows });
}
