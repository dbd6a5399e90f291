// Reading JSON that came over the socket. Nothing is assumed: what is missing or of another type
// reads as the type's empty value, as it would for Go's encoding/json.
import type { GoMap, GoValue } from "../common/template/value.js";

export type Json = GoValue;
export type JsonObject = GoMap;

export function parseJson(text: string): Json | undefined {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

export function object(value: Json): JsonObject {
  return isObject(value) ? value : {};
}

export function list(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

/** The value at a path of keys. */
export function at(value: Json, ...path: readonly string[]): Json {
  return path.reduce<Json>((inner, key) => (isObject(inner) ? inner[key] : undefined), value);
}

export function text(value: Json, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === "string" ? found : "";
}

export function number(value: Json, ...path: readonly string[]): number {
  const found = at(value, ...path);
  return typeof found === "number" ? found : 0;
}

export function flag(value: Json, ...path: readonly string[]): boolean {
  return at(value, ...path) === true;
}

export function items(value: Json, ...path: readonly string[]): readonly Json[] {
  return list(at(value, ...path));
}

export function strings(value: Json, ...path: readonly string[]): readonly string[] {
  return items(value, ...path).filter((item) => typeof item === "string");
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
