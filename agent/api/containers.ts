// /containers: their life. Streams are in container-streams.ts, commands inside them in execs.ts.
import { type Refusal, refuse } from "../../common/fault.js";
import { rpcWords } from "../../common/grpc/rpc-words.js";
import type { Container, ContainerState } from "../seams.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryFlag, queryNumber, queryText } from "./call.js";
import { containerJson, containerSummaryJson } from "./container-json.js";
import { containerRequest } from "./container-request.js";
import {
  type Filters,
  lacksLabels,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  matchesPrefix,
  parseFilters,
} from "./filters.js";
import { badRequest, here, refusedHere } from "./http-error.js";
import { objectOf } from "./json.js";
import { type Route, route } from "./router.js";
import { parseWhen } from "./times.js";

const LIST_FILTERS = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];
const PRUNE_FILTERS = ["label", "label!", "until"];
const STATES: readonly string[] = [
  "created",
  "dead",
  "exited",
  "paused",
  "removing",
  "restarting",
  "running",
] satisfies (ContainerState | "paused" | "restarting")[];

export const CONTAINER_ROUTES: readonly Route[] = [
  route("GET", "/containers/json", list),
  route("POST", "/containers/create", create),
  route("POST", "/containers/prune", prune),
  route("GET", "/containers/{id}/json", (call) =>
    json(containerJson(here(call.node.containers.get(param(call, "id"))))),
  ),
  route("POST", "/containers/{id}/start", start),
  route("POST", "/containers/{id}/stop", stop),
  route("POST", "/containers/{id}/restart", restart),
  route("POST", "/containers/{id}/kill", kill),
  route("POST", "/containers/{id}/rename", rename),
  route("POST", "/containers/{id}/resize", resize),
  route("DELETE", "/containers/{id}", remove),
];

function list(call: Call): Answer {
  const filters = parseFilters(queryText(call, "filters"), LIST_FILTERS);
  const code = filters.get("exited")?.find((value) => !/^-?\d+$/.test(value));
  if (code !== undefined) throw badRequest(`invalid filter 'exited=${code}'`);
  const wrong = filters.get("status")?.find((state) => !STATES.includes(state));
  if (wrong !== undefined) throw badRequest(`invalid filter 'status=${wrong}'`);
  const limit = queryNumber(call, "limit", 0);
  // A limit or a state shows what has ended too, as dockerd has it.
  const all = queryFlag(call, "all") || limit > 0 || filters.has("status") || filters.has("exited");
  const newestFirst = [...call.node.containers.list()].sort(
    (a, b) => b.createdAtMs - a.createdAtMs,
  );
  const window = aged(call, newestFirst, filters);
  const wanted = window.filter(
    (each) => (all || each.state === "running") && isWanted(each, filters),
  );
  const nowMs = call.clock.nowMs();
  return json(
    wanted.slice(0, limit > 0 ? limit : undefined).map((each) => containerSummaryJson(each, nowMs)),
  );
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

function isWanted(container: Container, filters: Filters): boolean {
  const { spec } = container;
  const networks = filters.get("network") ?? [];
  const onOne = container.endpoints.flatMap(({ network }) => [
    network.id,
    network.spec?.name ?? "",
  ]);
  const names = [spec.networkMode, ...spec.endpoints.map(({ network }) => network), ...onOne];
  return (
    matchesPrefix(filters, "id", container.id) &&
    matchesPattern(filters, "name", `/${spec.name}`) &&
    matchesExactly(filters, "status", container.state) &&
    matchesExactly(filters, "exited", String(container.exitCode)) &&
    (!filters.has("exited") || container.state === "exited") &&
    matchesExactly(filters, "ancestor", spec.image) &&
    matchesExactly(filters, "is-task", "false") &&
    matchesExactly(filters, "health", "none") &&
    ["expose", "publish", "volume"].every((key) => !filters.has(key)) &&
    matchesLabels(filters, "label", spec.labels) &&
    (networks.length === 0 || networks.some((network) => names.includes(network)))
  );
}

async function create(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "container create request");
  const { spec, warnings } = containerRequest(queryText(call, "name"), body, call.version);
  const { id } = here(await call.node.containers.create(spec));
  return json({ Id: id, Warnings: warnings }, 201);
}

async function start(call: Call): Promise<Answer> {
  const { id, state } = here(call.node.containers.get(param(call, "id")));
  if (state === "running") return empty(304);
  const refusal = await call.node.containers.start(id);
  if (refusal) throw refusedHere(inDockerdsWords(refusal));
  return empty(204);
}

const ATTACHING = /^(Could not attach to network [^:]+: )(?!rpc error)(.*)$/s;

/** dockerd shows what a manager refuses with gRPC's words around it; a clash on this host is no manager's. */
function inDockerdsWords(refusal: Refusal): Refusal {
  const [, start, why] = ATTACHING.exec(refusal.message) ?? [];
  if (start === undefined || why === undefined) return refusal;
  // swarmkit's code for it; our manager says that it is right, but not now.
  const code = / not manually attachable$/.test(why) ? "permission-denied" : refusal.code;
  if (code === "failed-precondition" || code === "unavailable") return refusal;
  return refuse(code, start + rpcWords(refuse(code, why)));
}

async function stop(call: Call): Promise<Answer> {
  const { id, state } = here(call.node.containers.get(param(call, "id")));
  if (state !== "running") return empty(304);
  const signal = queryText(call, "signal");
  if (signal !== "") here(await call.node.containers.kill(id, signal));
  here(await call.node.containers.stop(id, stopTimeout(call)));
  return empty(204);
}

async function restart(call: Call): Promise<Answer> {
  const { id, state } = here(call.node.containers.get(param(call, "id")));
  if (state === "running") here(await call.node.containers.stop(id, stopTimeout(call)));
  const refusal = await call.node.containers.start(id);
  if (refusal) throw refusedHere(inDockerdsWords(refusal));
  return empty(204);
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
  here(await call.node.containers.remove(param(call, "id"), queryFlag(call, "force")));
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
  for (const { id } of ended) here(await call.node.containers.remove(id, false));
  const ids = ended.map(({ id }) => id);
  return json({ ContainersDeleted: ids.length > 0 ? ids : null, SpaceReclaimed: 0 });
}
