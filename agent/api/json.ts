// JSON from a client: parsed strictly, refused in the words of Go's encoding/json, and read field by
// field with the type that each must have. An absent field and null mean the zero value, as in Go.
import { refuse } from "../../common/fault.js";
import { badRequest, refusedByManager } from "./http-error.js";
import { jsonProblem } from "./json-problem.js";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** The value, or HttpError 400 saying what was wrong. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw badRequest(jsonProblem(text));
  }
}

export function objectOf(value: Json | undefined, what: string): JsonObject {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw mismatch(value, what, "object");
  return value as JsonObject;
}

export function textIn(object: JsonObject, key: string): string {
  const value = object[key];
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw mismatch(value, key, "string");
  return value;
}

export function flagIn(object: JsonObject, key: string): boolean {
  const value = object[key];
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") throw mismatch(value, key, "bool");
  return value;
}

/** A whole number; undefined when absent. */
export function numberIn(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value)) throw mismatch(value, key, "int64");
  return value;
}

export function objectIn(object: JsonObject, key: string): JsonObject {
  return objectOf(object[key], key);
}

export function listIn(object: JsonObject, key: string): readonly Json[] {
  const value = object[key];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw mismatch(value as Json, key, "array");
  return value as readonly Json[];
}

/** Undefined when absent or null, which is a nil pointer in Go. */
export function maybeObjectIn(object: JsonObject, key: string): JsonObject | undefined {
  const value = object[key];
  return value === undefined || value === null ? undefined : objectOf(value, key);
}

/** A whole number from 0; undefined when absent. */
export function unsignedIn(object: JsonObject, key: string): number | undefined {
  const value = numberIn(object, key);
  if (value === undefined || value >= 0) return value;
  throw badRequest(`json: cannot unmarshal number ${value} into field ${key} of type uint64`);
}

/**
 * Nanoseconds from 0; undefined when absent. `words` is what SwarmKit says to less: the swarm's own spec has no
 * sign.
 */
export function durationIn(object: JsonObject, key: string, words: string): number | undefined {
  const value = numberIn(object, key);
  if (value === undefined || value >= 0) return value;
  throw refusedByManager(refuse("invalid-argument", words));
}

/** Any number; 0 when absent. */
export function decimalIn(object: JsonObject, key: string): number {
  const value = object[key];
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number") throw mismatch(value, key, "float32");
  return value;
}

/** Each element as an object. */
export function objectsIn(object: JsonObject, key: string): readonly JsonObject[] {
  return listIn(object, key).map((each) => objectOf(each, key));
}

export function textsIn(object: JsonObject, key: string): readonly string[] {
  return listIn(object, key).map((value) => {
    if (typeof value !== "string") throw mismatch(value, key, "string");
    return value;
  });
}

/** A list of strings, or one string that stands for a list of one (Docker's StrSlice). */
export function wordsIn(object: JsonObject, key: string): readonly string[] {
  const value = object[key];
  return typeof value === "string" ? [value] : textsIn(object, key);
}

export function textMapIn(object: JsonObject, key: string): Record<string, string> {
  const entries = Object.entries(objectIn(object, key)).map(([name, value]) => {
    if (typeof value !== "string") throw mismatch(value, `${key}.${name}`, "string");
    return [name, value] as const;
  });
  return Object.fromEntries(entries);
}

/** `[rows, columns]`; undefined when there is none, or one of them is 0. */
export function consoleSizeIn(
  object: JsonObject,
): { readonly rows: number; readonly columns: number } | undefined {
  const list = listIn(object, "ConsoleSize");
  const [rows, columns] = list;
  if (list.length === 0) return undefined;
  // struct winsize has 16 bits for each.
  const isSide = (value: Json | undefined): value is number =>
    typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 16;
  if (list.length !== 2 || !isSide(rows) || !isSide(columns)) {
    throw badRequest("invalid ConsoleSize: it must be [rows, columns]");
  }
  return rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

/** The field `Labels`; in docker/cli's words (opts.ValidateLabel), which checks it for some commands only. */
export function labelsIn(object: JsonObject): Record<string, string> {
  const labels = textMapIn(object, "Labels");
  const nameless = Object.entries(labels).find(([name]) => name.trim() === "");
  if (nameless !== undefined) throw badRequest(`invalid label '${nameless.join("=")}': empty name`);
  return labels;
}

function mismatch(value: Json, field: string, wanted: string): Error {
  return badRequest(
    `json: cannot unmarshal ${kindOf(value)} into field ${field} of type ${wanted}`,
  );
}

function kindOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}
