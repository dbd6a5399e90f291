// Finds the handler for a method and a path. Patterns are "/networks/{id}/connect"; a parameter is one
// path segment, percent-decoded; the first match in the order of the table wins.
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
      if (each.method !== method || each.segments.length !== segments.length) continue;
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
  for (const [i, want] of pattern.entries()) {
    const have = segments[i] ?? "";
    if (!want.startsWith("{")) {
      if (want !== have) return undefined;
    } else if (have === "") {
      return undefined;
    } else {
      params[want.slice(1, -1)] = decode(have);
    }
  }
  return params;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`invalid URL escape in "${segment}"`);
  }
}
