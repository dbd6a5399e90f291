// /volumes: this node's volumes, of the driver "local".
import type { Volume } from "../seams.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import {
  type Filters,
  flagFilter,
  lacksLabels,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  parseFilters,
} from "./filters.js";
import { here, unserved } from "./http-error.js";
import { labelsIn, objectOf, textIn, textMapIn } from "./json.js";
import { type Route, route } from "./router.js";
import { goSeconds } from "./times.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: from v1.42 a prune leaves named volumes alone unless "all" is asked for.
const NAMELESS_ONLY_SINCE: ApiMinor = 42;

export const VOLUME_ROUTES: readonly Route[] = [
  route("GET", "/volumes", list),
  route("POST", "/volumes/create", create),
  route("POST", "/volumes/prune", prune),
  route("GET", "/volumes/{name}", (call) =>
    json(volumeJson(here(call.node.volumes.get(param(call, "name"))))),
  ),
  route("DELETE", "/volumes/{name}", remove),
];

function volumeJson(volume: Volume): object {
  const { options, labels } = volume;
  const nullIfEmpty = (map: object) => (Object.keys(map).length > 0 ? map : null);
  return {
    CreatedAt: goSeconds(volume.createdAtMs),
    Driver: volume.driver,
    Labels: nullIfEmpty(labels),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: nullIfEmpty(options),
    Scope: "local",
  };
}

function list(call: Call): Answer {
  const filters = parseFilters(queryText(call, "filters"), ["dangling", "driver", "label", "name"]);
  const dangling = flagFilter(filters, "dangling");
  const used = new Set(
    call.node.containers.list().flatMap(({ mountPoints }) => mountPoints.map(({ name }) => name)),
  );
  const wanted = call.node.volumes
    .list()
    .filter((volume) => dangling === undefined || used.has(volume.name) !== dangling)
    .filter((volume) => isWanted(volume, filters))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return json({ Volumes: wanted.map(volumeJson), Warnings: null });
}

function isWanted(volume: Volume, filters: Filters): boolean {
  return (
    matchesExactly(filters, "driver", volume.driver) &&
    matchesPattern(filters, "name", volume.name) &&
    matchesLabels(filters, "label", volume.labels)
  );
}

async function create(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "volume create request");
  if (body["ClusterVolumeSpec"] !== undefined && body["ClusterVolumeSpec"] !== null) {
    throw unserved("cluster volumes are");
  }
  const volume = await call.node.volumes.create({
    name: textIn(body, "Name"),
    driver: textIn(body, "Driver"),
    labels: labelsIn(body),
    options: textMapIn(body, "DriverOpts"),
  });
  return json(volumeJson(here(volume)), 201);
}

async function remove(call: Call): Promise<Answer> {
  here(await call.node.volumes.remove(param(call, "name"), queryFlag(call, "force")));
  return empty(204);
}

async function prune(call: Call): Promise<Answer> {
  const filters = parseFilters(queryText(call, "filters"), ["all", "label", "label!"]);
  const all = flagFilter(filters, "all") ?? call.version < NAMELESS_ONLY_SINCE;
  const { removed, bytes } = await call.node.volumes.prune(
    all,
    ({ labels }) =>
      !matchesLabels(filters, "label", labels) || !lacksLabels(filters, "label!", labels),
  );
  return json({ VolumesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: bytes });
}
