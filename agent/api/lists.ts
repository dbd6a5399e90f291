// What Docker has and a Skein of this release has none of: lists that are truly empty, and an honest 404
// for each single one.
import { type Answer, json } from "./answer.js";
import { type Call, param } from "./call.js";
import { notFound } from "./http-error.js";
import { manager } from "./manager.js";
import { type Handler, type Route, route } from "./router.js";

/** Objects of the swarm: a node that is no manager cannot say that there are none. */
const SWARM_KINDS = ["service", "secret", "config", "task"] as const;

export const LIST_ROUTES: readonly Route[] = [
  ...SWARM_KINDS.flatMap((kind) => [
    route(
      "GET",
      `/${kind}s`,
      managed(() => json([])),
    ),
    route(
      "GET",
      `/${kind}s/{id}`,
      managed((call) => missing(kind, call)),
    ),
    route(
      "DELETE",
      `/${kind}s/{id}`,
      managed((call) => missing(kind, call)),
    ),
    route(
      "POST",
      `/${kind}s/{id}/update`,
      managed((call) => missing(kind, call)),
    ),
    route(
      "GET",
      `/${kind}s/{id}/logs`,
      managed((call) => missing(kind, call)),
    ),
  ]),
  route("GET", "/images/json", () => json([])),
  route("GET", "/images/{name}/json", (call) => noImage(call)),
  route("DELETE", "/images/{name}", (call) => noImage(call)),
  route("GET", "/volumes", () => json({ Volumes: [], Warnings: null })),
  route("GET", "/volumes/{name}", (call) => noVolume(call)),
  route("DELETE", "/volumes/{name}", (call) => noVolume(call)),
  route("POST", "/volumes/prune", () => json({ VolumesDeleted: null, SpaceReclaimed: 0 })),
  route("POST", "/images/prune", () => json({ ImagesDeleted: null, SpaceReclaimed: 0 })),
  route("POST", "/build/prune", () => json({ CachesDeleted: null, SpaceReclaimed: 0 })),
  route("GET", "/plugins", () => json([])),
];

function managed(handler: Handler): Handler {
  return async (call) => {
    await manager(call);
    return handler(call);
  };
}

function missing(kind: string, call: Call): Answer {
  throw notFound(`${kind} ${param(call, "id")} not found`);
}

function noImage(call: Call): Answer {
  throw notFound(`No such image: ${param(call, "name")}`);
}

function noVolume(call: Call): Answer {
  throw notFound(`get ${param(call, "name")}: no such volume`);
}
