// What a person means by a word: a whole id, a name, or the beginning of exactly one id, in that order.

export type Found<T> =
  | { readonly kind: "one"; readonly item: T }
  | { readonly kind: "none" }
  | { readonly kind: "several" };

export function findByReference<T>(
  items: Iterable<T>,
  ref: string,
  idOf: (item: T) => string,
  nameOf: (item: T) => string,
): Found<T> {
  // Docker's API shows names with a slash before them and takes them back so.
  const name = ref.startsWith("/") ? ref.slice(1) : ref;
  const byPrefix: T[] = [];
  let byName: T | undefined;
  for (const item of items) {
    if (idOf(item) === ref) return { kind: "one", item };
    if (nameOf(item) === name) byName = item;
    if (ref !== "" && idOf(item).startsWith(ref)) byPrefix.push(item);
  }
  if (byName !== undefined && name !== "") return { kind: "one", item: byName };
  const [item, ...more] = byPrefix;
  if (item === undefined) return { kind: "none" };
  return more.length === 0 ? { kind: "one", item } : { kind: "several" };
}
