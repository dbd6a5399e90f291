import { expect, test } from "vitest";
import { EMPTY_CONFIG } from "../oci/image-config.js";
import type { Image } from "../seams.js";
import { parseFilters } from "./filters.js";
import { globMatches, LIST_FILTERS, listed } from "./image-filters.js";

function image(
  name: string,
  createdAtMs: number,
  labels: Readonly<Record<string, string>> = {},
): Image {
  return {
    id: `sha256:${name.length.toString(16).repeat(64).slice(0, 64)}`,
    tags: name === "" ? [] : [name],
    digests: [],
    createdAtMs,
    sizeBytes: 1,
    architecture: "amd64",
    os: "linux",
    variant: "",
    author: "",
    comment: "",
    config: { ...EMPTY_CONFIG, labels },
    layers: [],
    history: [],
  };
}

const IMAGES = [
  image("alpine:latest", 1_000),
  image("localhost:5000/a/web:2", 2_000, { k: "v" }),
  image("", 3_000),
];

const cases: readonly (readonly [filters: object, want: readonly string[]])[] = [
  [{}, ["alpine:latest", "localhost:5000/a/web:2", ""]],
  [{ dangling: ["true"] }, [""]],
  [{ dangling: { false: true } }, ["alpine:latest", "localhost:5000/a/web:2"]],
  [{ label: ["k=v"] }, ["localhost:5000/a/web:2"]],
  [{ reference: ["alp*"] }, ["alpine:latest"]],
  [
    { reference: ["*:latest", "localhost:5000/*/web"] },
    ["alpine:latest", "localhost:5000/a/web:2"],
  ],
  [{ before: ["localhost:5000/a/web:2"] }, ["alpine:latest"]],
  [{ since: ["alpine"] }, ["localhost:5000/a/web:2", ""]],
  [{ until: ["1970-01-01T00:00:01.5Z"] }, ["alpine:latest"]],
];
for (const [filters, want] of cases) {
  test(JSON.stringify(filters), () => {
    const parsed = parseFilters(JSON.stringify(filters), LIST_FILTERS);
    expect(listed(IMAGES, parsed, 10_000).map(({ tags }) => tags[0] ?? "")).toEqual(want);
  });
}

test("an image that a filter names must be there", () => {
  const parsed = parseFilters('{"before":["nope"]}', LIST_FILTERS);
  expect(() => listed(IMAGES, parsed, 0)).toThrow("No such image: nope:latest");
});

test("stars stop at a slash, and cost no more than they match", () => {
  expect(globMatches("*/web", "a/web")).toBe(true);
  expect(globMatches("*", "a/web")).toBe(false);
  expect(globMatches("a?c", "abc")).toBe(true);
  expect(globMatches("*a*a*a*a*a*b", "a".repeat(5_000))).toBe(false);
});
