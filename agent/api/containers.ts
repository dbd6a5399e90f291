// /containers: their life. Streams are in container-streams.ts, commands inside them in execs.ts.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { rpcWords } from "../../common/grpc/rpc-words.js";
import { normalized, parsePlatform, platformText } from "../oci/platform.js";
import type { Container, Mount } from "../seams.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryFlag, queryNumber, queryText } from "./call.js";
import { containerFilters, isWanted } from "./container-filters.js";
import { type ContainerFiles, containerJson, containerSummaryJson } from "./container-json.js";
import { type ContainerRequest, containerRequest } from "./container-request.js";
import { sizesOf, written } from "./container-sizes.js";
import { type Filters, lacksLabels, matchesLabels, parseFilters } from "./filters.js";
import { limitsIn, restartIn } from "./host-config.js";
import { badRequest, HttpError, here, refusedHere, unserved } from "./http-error.js";
import { numberIn, objectOf, textIn } from "./json.js";
import { type Route, route } from "./router.js";
import { parseWhen } from "./times.js";

const PRUNE_FILTERS = ["label", "label!", "until"];
// What `docker ps` shows without -a: dockerd's IsRunning.
const RUNNING: readonly string[] = ["running", "paused", "restarting"];

export const CONTAINER_ROUTES: readonly Route[] = [
  route("GET", "/containers/json", list),
  route("POST", "/containers/create", create),
  route("POST", "/containers/prune", prune),
  route("GET", "/containers/{id}/json", inspect),
  route("POST", "/containers/{id}/start", start),
  route("POST", "/containers/{id}/stop", stop),
  route("POST", "/containers/{id}/restart", restart),
  route("POST", "/containers/{id}/pause", pause),
  route("POST", "/containers/{id}/unpause", unpause),
  route("POST", "/containers/{id}/update", update),
  route("POST", "/containers/{id}/kill", kill),
  route("POST", "/containers/{id}/rename", rename),
  route("POST", "/containers/{id}/resize", resize),
  route("DELETE", "/containers/{id}", remove),
];

async function inspect(call: Call): Promise<Answer> {
  const container = here(call.node.containers.get(param(call, "id")));
  const [size] = queryFlag(call, "size") ? await sizesOf(call, [container]) : [];
  return json(containerJson(container, filesOf(call), size));
}

function filesOf(call: Call): ContainerFiles {
  const { stateDir } = call.node.host();
  return { logPath: (id) => `${stateDir}/containers/${id}/log.json` };
}

async function list(call: Call): Promise<Answer> {
  const filters = containerFilters(queryText(call, "filters"));
  const limit = queryNumber(call, "limit", 0);
  // A limit or a state shows what has ended too, an exit code does not: as dockerd has it.
  const all = queryFlag(call, "all") || limit > 0 || filters.has("status");
  const newestFirst = [...call.node.containers.list()].sort(
    (a, b) => b.createdAtMs - a.createdAtMs,
  );
  const window = aged(call, newestFirst, filters);
  const wanted = window.filter(
    (each) => (all || RUNNING.includes(each.state)) && isWanted(each, filters),
  );
  const nowMs = call.clock.nowMs();
  const shown = wanted.slice(0, limit > 0 ? limit : undefined);
  const sizes = queryFlag(call, "size") ? await sizesOf(call, shown) : [];
  return json(shown.map((each, i) => containerSummaryJson(each, nowMs, sizes[i])));
}

/** `before` and `since` name containers; the list is newest first. */
function aged(
  call: Call,
  newestFirst: readonly Container[],
  filters: Filters,
): readonly Container[] {
  const place = (key: string) => {
    const [ref] = filters.get(key) ?? [];
    if (ref === undefined) return undefined;
    const { id } = here(call.node.containers.get(ref));
    return newestFirst.findIndex((each) => each.id === id);
  };
  const before = place("before");
  const since = place("since");
  return newestFirst.slice(before === undefined ? 0 : before + 1, since);
}

async function create(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "container create request");
  const hasBridge = call.node.localNets.find("bridge") !== undefined;
  const name = queryText(call, "name");
  const request = containerRequest(name, body, call.version, hasBridge);
  await checkPlatform(call, request.spec);
  const mounts = [...request.spec.mounts, ...mountsFrom(call, request)];
  const spec = { ...request.spec, mounts, ...sharedNetwork(call, request.spec) };
  const { id } = here(await call.node.containers.create(spec));
  return json({ Id: id, Warnings: request.warnings }, 201);
}

/** The other container by its id. A 404 would make the CLI pull the image. */
function sharedNetwork(
  call: Call,
  { networkContainer }: Container["spec"],
): Pick<Container["spec"], "networkContainer"> {
  if (networkContainer === undefined) return {};
  const other = call.node.containers.get(networkContainer);
  if (!isRefusal(other)) return { networkContainer: other.id };
  throw new HttpError(409, `joining network namespace of container: ${other.message}`);
}

/** `--platform`: an image of another one is as good as none, so the CLI pulls. */
async function checkPlatform(call: Call, { image, runtime }: Container["spec"]): Promise<void> {
  const wanted = queryText(call, "platform");
  if (wanted === "" || runtime === "process") return;
  const found = await call.node.images.get(image);
  if (isRefusal(found)) return;
  const platform = here(parsePlatform(wanted));
  // Without a variant, any will do.
  const have = normalized(found);
  const asked = { ...platform, variant: platform.variant || have.variant };
  if (platformText(asked) === platformText(have)) return;
  throw new HttpError(
    404,
    `image with reference ${image} was found but its platform (${platformText(found)}) does not match the specified platform (${wanted})`,
  );
}

/** `--volumes-from other:ro`, where it has nothing of its own. */
function mountsFrom(call: Call, request: ContainerRequest): readonly Mount[] {
  const taken = new Set(request.spec.mounts.map(({ target }) => target));
  return request.volumesFrom.flatMap((written) => {
    const [ref = "", mode = "rw"] = written.split(":");
    if (mode !== "rw" && mode !== "ro") throw badRequest(`invalid mode: ${mode}`);
    const found = call.node.containers.get(ref);
    // Not 404: then the CLI would look for the image.
    if (isRefusal(found)) throw badRequest(found.message);
    return found.mountPoints
      .filter(({ mount }) => mount.kind !== "tmpfs" && !taken.has(mount.target))
      .map(({ mount, name, source }) => ({
        ...mount,
        source: mount.kind === "volume" ? name : source,
        readOnly: mount.readOnly || mode === "ro",
        noCopy: true,
      }));
  });
}

async function start(call: Call): Promise<Answer> {
  const { id, state } = here(call.node.containers.get(param(call, "id")));
  if (state === "running" || state === "restarting") return empty(304);
  const refusal = await call.node.containers.start(id);
  if (refusal) throw refusedHere(inDockerdsWords(refusal, call));
  return empty(204);
}

const ATTACHING = /^(Could not attach to network [^:]+: )(?!rpc error)(.*)$/s;

/** dockerd shows what a manager refuses with gRPC's words around it; a clash on this host is no manager's. */
function inDockerdsWords(refusal: Refusal, { node }: Call): Refusal {
  const [, start, why] = ATTACHING.exec(refusal.message) ?? [];
  if (start === undefined || why === undefined) return refusal;
  // Without a swarm nobody was asked.
  if (refusal.code === "not-found" && node.membership.status().state === "inactive") {
    return refuse(refusal.code, why);
  }
  // swarmkit's code for it; our manager says that it is right, but not now.
  const code = / not manually attachable$/.test(why) ? "permission-denied" : refusal.code;
  if (code === "failed-precondition" || code === "unavailable") return refusal;
  return refuse(code, start + rpcWords(refuse(code, why)));
}

async function stop(call: Call): Promise<Answer> {
  const { id, state } = here(call.node.containers.get(param(call, "id")));
  if (!RUNNING.includes(state)) return empty(304);
  const signal = queryText(call, "signal");
  here(await call.node.containers.stop(id, stopTimeout(call), signal));
  return empty(204);
}

async function restart(call: Call): Promise<Answer> {
  const [id, signal] = [param(call, "id"), queryText(call, "signal")];
  const refusal = await call.node.containers.restart(id, stopTimeout(call), signal);
  if (refusal) throw refusedHere(inDockerdsWords(refusal, call));
  return empty(204);
}

async function pause(call: Call): Promise<Answer> {
  here(await call.node.containers.pause(param(call, "id")));
  return empty(204);
}

async function unpause(call: Call): Promise<Answer> {
  here(await call.node.containers.unpause(param(call, "id")));
  return empty(204);
}

async function update(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "container update request");
  const { id } = here(call.node.containers.get(param(call, "id")));
  const { RestartPolicy: policy, ...asked } = body;
  const said = Object.entries(asked).flatMap(([key, value]) => (isSaid(value) ? [key] : []));
  const unknown = said.find((key) => !LIMITS.includes(key));
  if (unknown !== undefined) {
    throw unserved(`changing this of a container that exists (${unknown}) is`);
  }
  if (said.length > 0) {
    const limits = { ...limitsIn(body), pids: numberIn(body, "PidsLimit") ?? 0 };
    here(await call.node.containers.setLimits(id, limits));
  }
  const isNamed = textIn(objectOf(policy, "RestartPolicy"), "Name") !== "";
  if (isNamed) here(await call.node.containers.setRestart(id, restartIn(body)));
  return json({ Warnings: null });
}

// What dockerd's UpdateContainer takes over.
const LIMITS = [
  "BlkioWeight",
  "CpuPeriod",
  "CpuQuota",
  "CpuShares",
  "CpusetCpus",
  "CpusetMems",
  "Memory",
  "MemoryReservation",
  "MemorySwap",
  "NanoCpus",
  "PidsLimit",
];

function isSaid(value: unknown): boolean {
  if (value === null || value === false || value === "" || value === 0) return false;
  return typeof value !== "object" || Object.keys(value as object).length > 0;
}

// Absent: the container's own; negative: for ever, for which a day stands.
function stopTimeout(call: Call): number | undefined {
  if (!call.query.has("t")) return undefined;
  const seconds = queryNumber(call, "t", 0);
  return seconds < 0 ? 86_400 : seconds;
}

async function kill(call: Call): Promise<Answer> {
  const signal = queryText(call, "signal") || "SIGKILL";
  here(await call.node.containers.kill(param(call, "id"), signal));
  return empty(204);
}

async function rename(call: Call): Promise<Answer> {
  const name = queryText(call, "name").replace(/^\//, "");
  if (name === "") throw badRequest("Neither old nor new names may be empty");
  here(await call.node.containers.rename(param(call, "id"), name));
  return empty(204);
}

async function resize(call: Call): Promise<Answer> {
  const { rows, columns } = terminalSize(call);
  here(await call.node.containers.resize(param(call, "id"), rows, columns));
  return empty(200);
}

/** struct winsize (ioctl_tty(2)) holds 16 bits of each. */
export function terminalSize(call: Call): { readonly rows: number; readonly columns: number } {
  const rows = queryNumber(call, "h", 0);
  const columns = queryNumber(call, "w", 0);
  if ([rows, columns].some((each) => each < 0 || each > 0xffff)) {
    throw badRequest(`invalid terminal size ${columns}x${rows}`);
  }
  return { rows, columns };
}

async function remove(call: Call): Promise<Answer> {
  if (queryFlag(call, "link")) throw badRequest("links between containers do not exist here");
  const volumes = queryFlag(call, "v");
  here(await call.node.containers.remove(param(call, "id"), queryFlag(call, "force"), volumes));
  return empty(204);
}

async function prune(call: Call): Promise<Answer> {
  const filters = parseFilters(queryText(call, "filters"), PRUNE_FILTERS);
  const [until = ""] = filters.get("until") ?? [];
  const untilNs = parseWhen(until, call.clock.nowMs(), "filter 'until'");
  const ended = call.node.containers
    .list()
    .filter(
      ({ state, spec, createdAtMs }) =>
        (state === "exited" || state === "created" || state === "dead") &&
        (untilNs === undefined || BigInt(createdAtMs) * 1_000_000n <= untilNs) &&
        matchesLabels(filters, "label", spec.labels) &&
        lacksLabels(filters, "label!", spec.labels),
    );
  const sizes = await sizesOf(call, ended);
  for (const { id } of ended) here(await call.node.containers.remove(id, false));
  const ids = ended.map(({ id }) => id);
  return json({ ContainersDeleted: ids.length > 0 ? ids : null, SpaceReclaimed: written(sizes) });
}
