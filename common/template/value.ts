// What a template can hold, and how Go prints it (text/template over encoding/json values, and the
// "%v" of package fmt). Nothing here parses or evaluates.

/** A point in time: JSON shows it as it came, `{{.}}` shows it as Go's time.Time does. */
export class GoTime {
  constructor(readonly iso: string) {}
}

/** A row of a list: named fields that are worked out only when asked for. */
export class Fields {
  constructor(
    /** What Go calls the type; error messages show it. */
    readonly typeName: string,
    private readonly fields: ReadonlyMap<string, () => GoValue>,
  ) {}
  has(name: string): boolean {
    return this.fields.has(name);
  }
  get(name: string): GoValue {
    return this.fields.get(name)?.();
  }
  /** In the order of the alphabet, as Go's JSON of a map. */
  names(): string[] {
    return [...this.fields.keys()].sort();
  }
}

export interface GoMap {
  readonly [key: string]: GoValue;
}

/** `undefined` is Go's "no value": a key that a map has not. */
export type GoValue =
  | undefined
  | null
  | boolean
  | number
  | string
  | GoTime
  | Fields
  | readonly GoValue[]
  | GoMap;

export function isList(value: GoValue): value is readonly GoValue[] {
  return Array.isArray(value);
}

export function isMap(value: GoValue): value is GoMap {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof GoTime) &&
    !(value instanceof Fields)
  );
}

export function sortedKeys(map: GoMap): string[] {
  return Object.keys(map).sort();
}

/** text/template's truth: the zero value of any type is false, also an empty list or map. */
export function isTrue(value: GoValue): boolean {
  if (value === undefined || value === null) return false;
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  if (value instanceof GoTime || value instanceof Fields) return true;
  return Boolean(value);
}

/** Package fmt's "%v". */
export function show(value: GoValue): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (isList(value)) return `[${value.map(show).join(" ")}]`;
  if (value instanceof GoTime) return showTime(value);
  if (value instanceof Fields) {
    return `{${value
      .names()
      .map((name) => show(value.get(name)))
      .join(" ")}}`;
  }
  if (isMap(value)) {
    return `map[${sortedKeys(value)
      .map((key) => `${key}:${show(value[key])}`)
      .join(" ")}]`;
  }
  return String(value);
}

/** Go's time.Time.String() of a time in UTC: fractions without their trailing zeros. */
function showTime(time: GoTime): string {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z$/.exec(time.iso);
  if (match === null) return time.iso;
  const fraction = (match[3] ?? "").replace(/\.?0+$/, "");
  return `${match[1]} ${match[2]}${fraction} +0000 UTC`;
}

/** Compact JSON. Rows show their fields by name; lists and maps keep the order they came in. */
export function toJson(value: GoValue): string {
  const json = JSON.stringify(plain(value)) ?? "null";
  // A row's own MarshalJSON escapes what HTML would take for markup; plain values do not.
  return value instanceof Fields ? json.replace(/[<>&]/g, unicodeEscape) : json;
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function plain(value: GoValue): unknown {
  if (value === undefined || value === null) return null;
  if (value instanceof GoTime) return value.iso;
  if (isList(value)) return value.map(plain);
  if (value instanceof Fields) {
    return Object.fromEntries(value.names().map((name) => [name, plain(value.get(name))]));
  }
  if (isMap(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  }
  return value;
}

/** A template that cannot be parsed or run. The message is Go's own, with "template: " before it. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TemplateError";
  }
}
