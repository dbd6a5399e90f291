// Which object a person means: by id, then by name, then by an unambiguous beginning of an id. The words
// are dockerd's (daemon/cluster/helpers.go, daemon/network.go).
import { badRequest, notFound } from "./http-error.js";

export interface Named {
  readonly id: string;
  readonly names: readonly string[];
}

interface Words {
  readonly kind: string;
  readonly ambiguousName: (matches: number) => string;
  readonly ambiguousPrefix: (matches: number) => string;
}

export const NODE_WORDS: Words = {
  kind: "node",
  ambiguousName: (matches) => `${matches} matches found`,
  ambiguousPrefix: (matches) => `${matches} matches found`,
};
export const NETWORK_WORDS: Words = {
  kind: "network",
  ambiguousName: (matches) => `${matches} matches found based on name`,
  ambiguousPrefix: (matches) => `${matches} matches found based on ID prefix`,
};

/** HttpError 404 when there is none, 400 when there are several. */
export function findOne<T>(
  ref: string,
  all: readonly T[],
  named: (each: T) => Named,
  words: Words,
): T {
  const exact = all.find((each) => named(each).id === ref);
  if (exact !== undefined) return exact;
  const byName = all.filter((each) => named(each).names.includes(ref));
  if (byName.length > 1) throw ambiguous(ref, words, words.ambiguousName(byName.length));
  const byPrefix = byName.length > 0 ? byName : all.filter((each) => startsWith(named(each), ref));
  if (byPrefix.length > 1) throw ambiguous(ref, words, words.ambiguousPrefix(byPrefix.length));
  const [found] = byPrefix;
  if (found === undefined) throw notFound(`${words.kind} ${ref} not found`);
  return found;
}

function startsWith(named: Named, ref: string): boolean {
  return ref !== "" && named.id.startsWith(ref);
}

function ambiguous(ref: string, words: Words, matches: string): Error {
  return badRequest(`${words.kind} ${ref} is ambiguous (${matches})`);
}
