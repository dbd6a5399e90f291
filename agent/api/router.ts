// Finds the handler for a method and a path. Patterns are "/networks/{id}/connect"; a parameter is one
// path segment, percent-decoded; "{name...}" is one or more of them, as names of images have slashes. The
// first match in the order of the table wins.
import type { Answer } from "./answer.js";
import type { Call } from "./call.js";
import { badRequest } from "./http-error.js";

export type Handler = (call: Call) => Answer | Promise<Answer>;

export interface Route {
  readonly method: string;
  readonly pattern: string;
  readonly handler: Handler;
}

export interface Found {
  readonly handler: Handler;
  readonly params: Readonly<Record<string, string>>;
}

export function route(method: string, pattern: string, handler: Handler): Route {
  return { method, pattern, handler };
}

export class Router {
  readonly #routes: readonly (Route & { readonly segments: readonly string[] })[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((each) => ({ ...each, segments: each.pattern.split("/") }));
  }

  find(method: string, path: string): Found | undefined {
    const segments = path.split("/");
    for (const each of this.#routes) {
      if (each.method !== method) continue;
      const params = match(each.segments, segments);
      if (params) return { handler: each.handler, params };
    }
    return undefined;
  }
}

function match(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  const longer = segments.length - pattern.length;
  let next = 0;
  for (const want of pattern) {
    const takes = want.endsWith("...}") ? 1 + longer : 1;
    const have = segments.slice(next, next + takes);
    next += takes;
    if (takes < 1 || have.length < takes) return undefined;
    if (!want.startsWith("{")) {
      if (want !== have[0]) return undefined;
    } else if (have.includes("")) {
      return undefined;
    } else {
      params[want.replace(/[{}]|\.{3}/g, "")] = have.map(decode).join("/");
    }
  }
  return next === segments.length ? params : undefined;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`invalid URL escape in "${segment}"`);
  }
}
