// Which containers a list's filters mean, as dockerd has them. Those that name other containers (`before`, `since`) are
// containers.ts's: they depend on what else there is.
import type { Container, ContainerState } from "../seams.js";
import {
  type Filters,
  flagFilter,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  matchesPrefix,
  mustBeOneOf,
  parseFilters,
} from "./filters.js";
import { badRequest } from "./http-error.js";

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
const HEALTHS = ["starting", "healthy", "unhealthy", "none"];
const STATES: readonly string[] = [
  "created",
  "dead",
  "exited",
  "paused",
  "removing",
  "restarting",
  "running",
] satisfies (ContainerState | "paused" | "restarting")[];

/** Throws what dockerd says of a filter, or a value, that is none. */
export function containerFilters(text: string): Filters {
  const filters = parseFilters(text, LIST_FILTERS);
  const code = filters.get("exited")?.find((value) => !/^-?\d+$/.test(value));
  if (code !== undefined) throw badRequest(notANumber("Atoi", code));
  const wrong = filters.get("status")?.find((state) => !STATES.includes(state));
  if (wrong !== undefined) throw badRequest(`Invalid filter 'status=${wrong}'`);
  mustBeOneOf(filters, "health", HEALTHS, (value) => `Invalid filter 'health=${value}'`);
  mustBeOneOf(
    filters,
    "is-task",
    ["true", "false", "1", "0"],
    (value) => `Invalid filter 'is-task=[${value}]'`,
  );
  return filters;
}

export function isWanted(container: Container, filters: Filters): boolean {
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
    isOfImage(container, filters) &&
    (flagFilter(filters, "is-task") ?? spec.taskId !== "") === (spec.taskId !== "") &&
    matchesExactly(filters, "health", container.health?.status ?? "none") &&
    matchesPort(filters, "expose", spec.exposed.map(plainPort)) &&
    matchesPort(
      filters,
      "publish",
      container.ports.map((port) => `${port.containerPort}/${port.protocol}`),
    ) &&
    matchesVolume(container, filters) &&
    matchesLabels(filters, "label", spec.labels) &&
    (networks.length === 0 || networks.some((network) => names.includes(network)))
  );
}

/** By name, with and without its tag, or by the beginning of its id. */
function isOfImage({ spec, imageId }: Container, filters: Filters): boolean {
  const wanted = filters.get("ancestor") ?? [];
  const plain = (ref: string) => ref.replace(/:latest$/, "");
  const digits = imageId.replace(/^sha256:/, "");
  return (
    wanted.length === 0 ||
    wanted.some(
      (each) =>
        plain(each) === plain(spec.image) ||
        (each.length >= 4 && digits.startsWith(each.replace(/^sha256:/, ""))),
    )
  );
}

// What dockerd shows of Go's own words.
function notANumber(by: "Atoi" | "ParseUint", text: string): string {
  return `strconv.${by}: parsing ${JSON.stringify(text)}: invalid syntax`;
}

/** "80", "80/tcp", "8000-8010/udp". */
function matchesPort(filters: Filters, key: string, have: readonly string[]): boolean {
  const wanted = filters.get(key) ?? [];
  return (
    wanted.length === 0 || wanted.some((each) => portsOf(each, key).some((p) => have.includes(p)))
  );
}

function portsOf(text: string, key: string): readonly string[] {
  if (text.includes(":")) throw badRequest(`filter for '${key}' should not contain ':': ${text}`);
  const [, first, last = first, protocol = "tcp"] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const count = Number(last) - Number(first) + 1;
  if (!(count >= 1 && count <= 65_536)) {
    const why = notANumber("ParseUint", text.replace(/\/\w*$/, ""));
    throw badRequest(`error while looking up for ${key} ${text}: ${why}`);
  }
  return Array.from({ length: count }, (_, i) => `${Number(first) + i}/${protocol}`);
}

function plainPort(text: string): string {
  return text.includes("/") ? text : `${text}/tcp`;
}

function matchesVolume({ mountPoints }: Container, filters: Filters): boolean {
  const wanted = filters.get("volume") ?? [];
  const have = mountPoints.flatMap(({ name, source, mount }) => [name, source, mount.target]);
  return wanted.length === 0 || wanted.some((each) => have.includes(each));
}
