// JSON as Go's encoding/json writes it, which is what clients compare: `omitempty` leaves out what is
// zero, and the keys of a map come in order.

type Fields = Readonly<Record<string, unknown>>;

/** `omitempty` on every field: without what is undefined, null, "", 0, false or an empty list. */
export function omitEmpty(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isZero(value)));
}

function isZero(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === undefined || value === null || value === "" || value === 0 || value === false;
}

type TextMap = Readonly<Record<string, string>>;

/** A map in the order of its keys. */
export function sortedMap(map: TextMap): TextMap {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As `omitempty` has a map: undefined when it is empty. */
export function mapIfAny(map: TextMap): TextMap | undefined {
  return Object.keys(map).length === 0 ? undefined : sortedMap(map);
}
