// Docker's filters: `filters={"label":["a=b"],"name":["web"]}`, or the older form with true for each
// value. Values of one key are alternatives (but for labels, which must all match); keys all must match.
import { badRequest, HttpError } from "./http-error.js";
import { type Json, parseJson } from "./json.js";

export type Filters = ReadonlyMap<string, readonly string[]>;

/** Refuses keys that are not in `accepted`, as dockerd does. */
export function parseFilters(written: string, accepted: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>();
  if (written === "") return filters;
  for (const [key, values] of Object.entries(parsed(written))) {
    if (!accepted.includes(key)) throw badRequest(`Invalid filter '${key}'`);
    filters.set(key, valuesOf(values));
  }
  return filters;
}

function parsed(written: string): Readonly<Record<string, Json>> {
  let value: Json;
  try {
    value = parseJson(written);
  } catch (error) {
    // dockerd 20.10 gives no type to this error, so it is 500 there; it is the client's, so 400 here.
    throw error instanceof HttpError ? error : badRequest("invalid filter");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest("invalid filter: it must be a JSON object");
  }
  return value as Readonly<Record<string, Json>>;
}

function valuesOf(values: Json): readonly string[] {
  if (Array.isArray(values)) return values.map(String);
  if (typeof values === "object" && values !== null) return Object.keys(values);
  throw badRequest("invalid filter: the values must be a list of strings");
}

/** No such key, or one of its values equals. */
export function matchesExactly(filters: Filters, key: string, have: string): boolean {
  const wanted = filters.get(key);
  return !wanted || wanted.length === 0 || wanted.includes(have);
}

/** dockerd's words for a value that can never match. */
export function mustBeOneOf(
  filters: Filters,
  key: string,
  known: readonly string[],
  refusal: (value: string) => string,
): void {
  const wrong = filters.get(key)?.find((value) => !known.includes(value));
  if (wrong !== undefined) throw badRequest(refusal(wrong));
}

/** No such key, or one of its values is found in `have`: as a regular expression, else as text. */
export function matchesPattern(filters: Filters, key: string, have: string): boolean {
  const wanted = filters.get(key);
  return !wanted || wanted.length === 0 || wanted.some((each) => found(each, have));
}

/** No such key, or `have` begins with one of its values. */
export function matchesPrefix(filters: Filters, key: string, have: string): boolean {
  const wanted = filters.get(key);
  return !wanted || wanted.length === 0 || wanted.some((each) => have.startsWith(each));
}

/** Each value is "key" or "key=value"; all must be there. */
export function matchesLabels(
  filters: Filters,
  key: string,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (filters.get(key) ?? []).every((each) => hasLabel(labels, each));
}

/** None of the values may be there ("label!"). */
export function lacksLabels(
  filters: Filters,
  key: string,
  labels: Readonly<Record<string, string>>,
): boolean {
  return !(filters.get(key) ?? []).some((each) => hasLabel(labels, each));
}

/** A yes-or-no filter; undefined when it is not given. */
export function flagFilter(filters: Filters, key: string): boolean | undefined {
  const [value, more] = filters.get(key) ?? [];
  if (value === undefined) return undefined;
  const yes = ["1", "true"].includes(value.toLowerCase());
  if (more !== undefined || (!yes && !["0", "false"].includes(value.toLowerCase()))) {
    throw badRequest(`Invalid filter '${key}=[${filters.get(key)?.join(" ")}]'`);
  }
  return yes;
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const [key = "", ...rest] = wanted.split("=");
  if (!Object.hasOwn(labels, key)) return false;
  return rest.length === 0 || labels[key] === rest.join("=");
}

// A pattern from a client runs on names of at most a few hundred characters; longer ones are plain text,
// so that a costly expression cannot be written.
const PATTERN_LENGTH_MAX = 128;

function found(pattern: string, have: string): boolean {
  if (have.includes(pattern)) return true;
  // Repeated groups are what makes matching exponential; dockerd's engine (RE2) has no such cost.
  if (pattern.length > PATTERN_LENGTH_MAX || /[+*}]\s*\)\s*[+*{]/.test(pattern)) return false;
  try {
    return new RegExp(pattern).test(have);
  } catch {
    return false;
  }
}
