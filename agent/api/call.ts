// One request, as a route sees it.
import type { Readable } from "node:stream";
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { AgentNode } from "../seams.js";
import { badRequest } from "./http-error.js";
import type { Json } from "./json.js";
import type { ApiMinor } from "./version.js";

export interface Call {
  readonly node: AgentNode;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: ApiMinor;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The whole body as JSON; undefined if there is none. Bounded; throws HttpError for what is no JSON. */
  body(): Promise<Json | undefined>;
  /** The body as it comes, unbounded: for archives. Read it or `body`, not both. */
  upload(): Readable;
  /** A request header by its name in lower case; empty if there is none. */
  header(name: string): string;
  /** Aborted when the client goes away or the server closes. */
  readonly signal: AbortSignal;
  /** Whether the client asked for the connection itself (Upgrade: tcp). */
  readonly upgrade: boolean;
  /** Requests and malformed requests so far, as Prometheus text. */
  apiMetrics(): string;
}

export function param(call: Call, name: string): string {
  return call.params[name] ?? "";
}

export function queryText(call: Call, name: string): string {
  return call.query.get(name) ?? "";
}

/** dockerd's httputils.BoolValue: everything but these is true. */
export function queryFlag(call: Call, name: string, absent = false): boolean {
  if (!call.query.has(name)) return absent;
  return !["", "0", "no", "false", "none"].includes(queryText(call, name).trim().toLowerCase());
}

export function queryNumber(call: Call, name: string, absent: number): number {
  const written = queryText(call, name);
  if (written === "") return absent;
  // Versions are indexes of the log, of up to 16 digits.
  if (!/^-?\d{1,16}$/.test(written) || !Number.isSafeInteger(Number(written))) {
    throw badRequest(`invalid ${name} '${written}': it must be a number`);
  }
  return Number(written);
}
