// The Engine API on the agent's unix socket: requests, JSON, streams and hijacked connections.
import http from "node:http";
import { type Duplex, pipeline, type Readable } from "node:stream";
import { API_VERSION } from "../../common/version.js";
import { Failure } from "../cli.js";
import { type Json, parseJson, text } from "../json.js";
import { connectFailure, reading } from "./failure.js";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Ask {
  readonly query?: Query;
  readonly body?: unknown;
  /** Bytes instead of JSON: a tar. */
  readonly content?: Readable;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What the agent refused, in its own words. */
export class DaemonError extends Failure {
  constructor(
    readonly status: number,
    readonly reason: string,
  ) {
    super(`Error response from daemon: ${reason}`);
    this.name = "DaemonError";
  }
}

export class Api {
  /** The path is asked for with each request, so that a bad --host is an error of the command's. */
  constructor(private readonly findSocket: () => string) {}

  async get(path: string, ask: Ask = {}): Promise<Json> {
    return (await this.getWithText(path, ask)).json;
  }

  /** The JSON and its own spelling, which `inspect` shows. */
  async getWithText(path: string, ask: Ask = {}): Promise<{ json: Json; text: string }> {
    const body = await this.text("GET", path, ask);
    const json = parseJson(body);
    if (json === undefined) throw new Failure(`the agent's answer to ${path} is not JSON`);
    return { json, text: body.trim() };
  }

  /** Undefined where the answer has no body. */
  async post(path: string, ask: Ask = {}): Promise<Json> {
    return parseJson(await this.text("POST", path, ask));
  }

  async delete(path: string, ask: Ask = {}): Promise<Json> {
    return parseJson(await this.text("DELETE", path, ask));
  }

  /** The answer's body as it comes. */
  async stream(method: string, path: string, ask: Ask = {}): Promise<http.IncomingMessage> {
    const socketPath = this.findSocket();
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = open(socketPath, method, path, ask, {});
      request.on("response", resolve);
      request.on("error", (error) => reject(connectFailure(error, socketPath)));
      if (ask.content) pipeline(ask.content, request, (error) => error && reject(error));
      else end(request, ask.body);
    });
    const status = response.statusCode ?? 0;
    if (status >= 400) throw refusal(status, await collect(response));
    return response;
  }

  /** A connection that carries a process's bytes both ways from here on (Docker's "hijack"). */
  hijack(path: string, ask: Ask = {}): Promise<Duplex> {
    const socketPath = this.findSocket();
    return new Promise((resolve, reject) => {
      const headers = { Connection: "Upgrade", Upgrade: "tcp" };
      const request = open(socketPath, "POST", path, ask, headers);
      request.on("upgrade", (_response, socket, head) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      request.on("response", (response) => {
        const status = response.statusCode ?? 0;
        collect(response).then((body) => {
          if (status >= 400) reject(refusal(status, body));
          else reject(new Failure(`the agent did not open a stream for ${path} (HTTP ${status})`));
        }, reject);
      });
      request.on("error", (error) => reject(connectFailure(error, socketPath)));
      end(request, ask.body);
    });
  }

  private async text(method: string, path: string, ask: Ask): Promise<string> {
    return collect(await this.stream(method, path, ask));
  }
}

/** One piece of a path; an empty name would silently ask for the list instead. */
export function segment(kind: string, ref: string): string {
  if (ref.trim() === "") throw new Failure(`invalid ${kind} name or ID: value is empty`);
  return encodeURIComponent(ref);
}

function end(request: http.ClientRequest, body: unknown): void {
  if (body === undefined) request.end();
  else request.end(JSON.stringify(body));
}

function queryText(query: Query): string {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

async function collect(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of reading(response)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

function refusal(status: number, body: string): DaemonError {
  const message = (text(parseJson(body), "message") || body).trim();
  return new DaemonError(status, message || `HTTP ${status}`);
}

function open(
  socketPath: string,
  method: string,
  path: string,
  ask: Ask,
  headers: Record<string, string>,
): http.ClientRequest {
  const versioned = path.startsWith("/skein/") ? path : `/v${API_VERSION}${path}`;
  return http.request({
    socketPath,
    method,
    path: versioned + queryText(ask.query ?? {}),
    agent: false,
    headers: {
      Host: "skein",
      "User-Agent": "skein",
      ...(ask.body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(ask.content === undefined ? {} : { "Content-Type": "application/x-tar" }),
      ...ask.headers,
      ...headers,
    },
    ...(ask.signal === undefined ? {} : { signal: ask.signal }),
  });
}
