// The filters of `docker images` and `docker image prune`.
import { isRefusal } from "../../common/fault.js";
import { familiarText, parseReference } from "../oci/reference.js";
import type { Image } from "../seams.js";
import { type Filters, flagFilter, lacksLabels, matchesLabels } from "./filters.js";
import { badRequest, notFound } from "./http-error.js";
import { parseWhen } from "./times.js";

export const LIST_FILTERS = [
  "dangling",
  "label",
  "label!",
  "before",
  "since",
  "reference",
  "until",
];
export const PRUNE_FILTERS = ["dangling", "label", "label!", "until"];

const MS = 1_000_000n;

export function listed(
  images: readonly Image[],
  filters: Filters,
  nowMs: number,
): readonly Image[] {
  const dangling = flagFilter(filters, "dangling");
  const before = timeOf(images, filters, "before") ?? Number.POSITIVE_INFINITY;
  const since = timeOf(images, filters, "since") ?? Number.NEGATIVE_INFINITY;
  const until = untilOf(filters, nowMs);
  const wanted = filters.get("reference") ?? [];
  return images
    .filter(
      (image) =>
        (dangling !== true || image.tags.length === 0) &&
        (dangling !== false || image.tags.length + image.digests.length > 0) &&
        image.createdAtMs < before &&
        image.createdAtMs > since &&
        image.createdAtMs < until &&
        matchesLabels(filters, "label", image.config.labels) &&
        (!filters.has("label!") || lacksLabels(filters, "label!", image.config.labels)),
    )
    .flatMap((image) => {
      if (wanted.length === 0) return [image];
      const tags = image.tags.filter((tag) => wanted.some((pattern) => isLike(pattern, tag)));
      const digests = image.digests.filter((each) =>
        wanted.some((pattern) => isLike(pattern, each)),
      );
      return tags.length + digests.length === 0 ? [] : [{ ...image, tags, digests }];
    });
}

/** `until`: made before then. */
export function untilOf(filters: Filters, nowMs: number): number {
  const [written, more] = filters.get("until") ?? [];
  if (written === undefined) return Number.POSITIVE_INFINITY;
  if (more !== undefined) throw badRequest("more than one until filter specified");
  return Number((parseWhen(written, nowMs, "until filter") ?? 0n) / MS);
}

function timeOf(images: readonly Image[], filters: Filters, key: string): number | undefined {
  const [ref] = filters.get(key) ?? [];
  if (ref === undefined) return undefined;
  const reference = parseReference(ref.includes(":") || ref.includes("@") ? ref : `${ref}:latest`);
  const name = isRefusal(reference) ? ref : familiarText(reference);
  const found = images.find(
    ({ id, tags, digests }) =>
      tags.includes(name) || digests.includes(name) || id.replace("sha256:", "").startsWith(ref),
  );
  if (found === undefined) throw notFound(`No such image: ${name}`);
  return found.createdAtMs;
}

/** Go's path.Match on "name:tag" and on "name", as dockerd does. */
function isLike(pattern: string, name: string): boolean {
  const bare = name.replace(/@.*$|:[^/]*$/, "");
  return globMatches(pattern, name) || globMatches(pattern, bare);
}

/** `*` and `?` stop at a slash; no regular expression is made of what a client sends. */
export function globMatches(pattern: string, text: string): boolean {
  let [p, t] = [0, 0];
  let [starAt, starText] = [-1, 0];
  while (t < text.length) {
    const want = pattern[p];
    if (want === "*") {
      [starAt, starText] = [p++, t];
    } else if (want !== undefined && (want === text[t] || (want === "?" && text[t] !== "/"))) {
      p++;
      t++;
    } else if (starAt >= 0 && text[starText] !== "/") {
      t = ++starText;
      p = starAt + 1;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
