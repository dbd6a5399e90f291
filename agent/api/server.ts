// The local API: Docker's Engine API on a unix socket. Owns the HTTP server and the life of each request;
// what is answered is in the routes.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type { Clock } from "../../common/clock.js";
import type { Close } from "../../common/closing.js";
import { faultFields } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { AgentNode } from "../seams.js";
import type { Answer } from "./answer.js";
import { readJson } from "./body.js";
import type { Call } from "./call.js";
import { ApiCounters } from "./counters.js";
import { answerWhole, hijack, refuseUpgrade, takeBody } from "./hijack.js";
import { HttpError, httpErrorOf, notFound } from "./http-error.js";
import { respond, respondError } from "./respond.js";
import { Router } from "./router.js";
import { ROUTES } from "./routes.js";
import { clearStale, listen } from "./socket.js";
import { splitVersion } from "./version.js";

export interface ApiOptions {
  readonly socketPath: string;
  /** Name or number of the group that may use the socket; empty: none. */
  readonly group: string;
  readonly node: AgentNode;
  readonly log: Logger;
  readonly clock: Clock;
}

// Choices. A client of a unix socket is on this machine: what takes longer than this is stuck or hostile.
const HEADERS_TIMEOUT_MS = 10_000;
const BODY_TIMEOUT_MS = 60_000;
const HEADER_BYTES_MAX = 16 * 1024;
// Beyond it, new connections are closed at once.
const CONNECTIONS_MAX = 1_024;
// How long answers that are under way may take when the agent stops.
const CLOSE_GRACE_MS = 1_000;

/** Listens; the returned function stops listening, ends every request, and removes the socket's file. */
export async function serveApi(options: ApiOptions): Promise<Close> {
  await clearStale(options.socketPath);
  const api = new Api(options);
  await listen(api.server, options.socketPath, options.group, options.log);
  options.log.info({ path: options.socketPath }, "local API is served");
  return () => api.close();
}

interface Parts {
  readonly request: IncomingMessage;
  readonly body: () => Readable;
  readonly signal: AbortSignal;
  readonly upgrade: boolean;
}

class Api {
  readonly server: Server;
  readonly #router = new Router(ROUTES);
  readonly #counters = new ApiCounters();
  readonly #stopping = new AbortController();
  readonly #upgraded = new Set<Duplex>();

  constructor(private readonly options: ApiOptions) {
    this.server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        // An image's archive may take any time to come; what is JSON may not (BODY_TIMEOUT_MS).
        requestTimeout: 0,
        maxHeaderSize: HEADER_BYTES_MAX,
        connectionsCheckingInterval: HEADERS_TIMEOUT_MS,
      },
      (request, response) => void this.#onRequest(request, response),
    );
    this.server.maxConnections = CONNECTIONS_MAX;
    this.server.on(
      "upgrade",
      (request, socket, head) => void this.#onUpgrade(request, socket, head),
    );
    this.server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      // Going away is no garbage.
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") this.#counters.malformed++;
      if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
      else refuseUpgrade(socket, malformed(error.code));
    });
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#stopping.signal]);
    try {
      const answer = await this.#answer({ request, body: () => request, signal, upgrade: false });
      this.#counters.answered("status" in answer ? answer.status : 200);
      await respond(response, answer, request.method === "HEAD");
    } catch (error) {
      if (gone.signal.aborted) return;
      respondError(response, this.#failure(error, request));
    } finally {
      // A connection that has become idle since `close` began would hold it up.
      if (this.#stopping.signal.aborted) setImmediate(() => this.server.closeIdleConnections());
    }
  }

  async #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = new AbortController();
    this.#upgraded.add(socket);
    socket.on("close", () => {
      this.#upgraded.delete(socket);
      gone.abort();
    });
    socket.on("error", () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#stopping.signal]);
    try {
      const { body, rest } = await takeBody(request, socket, head);
      const answer = await this.#answer({ request, body: () => body, signal, upgrade: true });
      if (answer.kind === "hijack") {
        this.#counters.answered(101);
        await hijack(socket, rest, answer);
      } else await this.#answerUpgrade(socket, answer);
    } catch (error) {
      if (!gone.signal.aborted) refuseUpgrade(socket, this.#failure(error, request));
    }
  }

  /** A request that asked for an upgrade and has an answer that needs none. */
  async #answerUpgrade(socket: Duplex, answer: Exclude<Answer, { kind: "hijack" }>): Promise<void> {
    const status = answer.kind === "stream" ? 200 : answer.status;
    this.#counters.answered(status);
    if (answer.kind === "json") {
      answerWhole(socket, status, "application/json", `${JSON.stringify(answer.value)}\n`);
    } else if (answer.kind === "text") answerWhole(socket, status, answer.contentType, answer.text);
    else if (answer.kind === "empty") answerWhole(socket, status, "text/plain", "");
    else {
      const chunks: Buffer[] = [];
      for await (const chunk of answer.chunks) chunks.push(Buffer.from(chunk));
      answerWhole(socket, status, answer.contentType, Buffer.concat(chunks).toString("utf8"));
    }
  }

  async #answer({ request, body, signal, upgrade }: Parts): Promise<Answer> {
    const [rawPath = "/", ...search] = (request.url ?? "/").split("?");
    const { version, path } = splitVersion(rawPath);
    const found = this.#router.find(request.method ?? "GET", path);
    if (!found) throw notFound("page not found");
    const { node, clock, log } = this.options;
    const call: Call = {
      node,
      clock,
      log,
      version,
      params: found.params,
      query: new URLSearchParams(search.join("?")),
      body: () => readJson(body(), request.headers, BODY_TIMEOUT_MS),
      upload: body,
      header: (name) => String(request.headers[name] ?? ""),
      signal,
      upgrade,
      apiMetrics: () => this.#counters.text(),
    };
    return found.handler(call);
  }

  #failure(error: unknown, request: IncomingMessage): HttpError {
    const failure = httpErrorOf(error);
    this.#counters.answered(failure.status);
    if (failure.logged) {
      const path = request.url?.split("?")[0];
      this.options.log.error(
        { method: request.method, path, ...faultFields(error) },
        "API request failed",
      );
    }
    return failure;
  }

  async close(): Promise<void> {
    this.#stopping.abort(new Error("the agent is stopping"));
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    for (const socket of this.#upgraded) socket.destroy();
    const grace = setTimeout(() => this.server.closeAllConnections(), CLOSE_GRACE_MS);
    await closed;
    clearTimeout(grace);
  }
}

function malformed(code: string | undefined): HttpError {
  if (code === "HPE_HEADER_OVERFLOW") {
    return new HttpError(431, `the request's headers are longer than ${HEADER_BYTES_MAX} bytes`);
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new HttpError(408, "the request took too long");
  return new HttpError(400, "this is not an HTTP request");
}
