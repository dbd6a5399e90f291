// What a node offers besides CPU and memory, as Docker's node-generic-resources are written (SwarmKit
// api/genericresource/parse.go): "gpu=4" is four alike, "gpu=UUID1" names one of them.
import type { NodeResource } from "../../proto/gen/types.js";

// A kind stands in a name of an environment variable (DOCKER_RESOURCE_KIND) and in people's flags.
const KIND = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/;
const NAME = /^[\x21-\x2b\x2d-\x3c\x3e-\x7e]{1,128}$/;
// Choice: far more than a machine has of anything.
const NAMES_MAX = 1_024;

/** The resources in order of their kind, or what is wrong, as a sentence. */
export function parseGenericResources(texts: readonly string[]): readonly NodeResource[] | string {
  const counts = new Map<string, number>();
  const names = new Map<string, Set<string>>();
  for (const text of texts.flatMap((each) => each.split(","))) {
    const at = text.indexOf("=");
    const kind = text.slice(0, Math.max(at, 0)).trim();
    const value = text.slice(at + 1).trim();
    if (at < 0 || !KIND.test(kind) || !NAME.test(value)) {
      return `"${text}" is no generic resource: say KIND=NUMBER or KIND=NAME`;
    }
    if (/^-?\d+$/.test(value)) {
      const count = Number(value);
      if (!(count >= 0 && count <= Number.MAX_SAFE_INTEGER)) {
        return `cannot ask for a negative or so large a resource: ${text}`;
      }
      if (counts.has(kind)) return `generic resource ${kind} is counted more than once`;
      counts.set(kind, count);
    } else {
      const known = names.get(kind) ?? new Set();
      names.set(kind, known.add(value));
      if (known.size > NAMES_MAX) return `generic resource ${kind} has too many names`;
    }
  }
  const mixed = [...counts.keys()].find((kind) => names.has(kind));
  if (mixed !== undefined) return `mixed discrete and named resources for ${mixed}`;
  return [
    ...[...counts].map(([kind, value]) => ({ kind, value, names: [] })),
    ...[...names].map(([kind, set]) => ({ kind, value: set.size, names: [...set].sort() })),
  ].sort((a, b) => (a.kind < b.kind ? -1 : 1));
}
