// Writes an Answer as HTTP, with the headers that dockerd gives.
import type { ServerResponse } from "node:http";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { API_VERSION, SKEIN_VERSION } from "../../common/version.js";
import type { Answer } from "./answer.js";
import type { HttpError } from "./http-error.js";
import { VersionError } from "./version.js";

/** On every answer. */
export const HEADERS: Readonly<Record<string, string>> = {
  "Api-Version": API_VERSION,
  "Docker-Experimental": "false",
  Ostype: "linux",
  Server: `Skein/${SKEIN_VERSION} (linux)`,
};

/** Resolves when all is written, or the client is gone. Throws only what a stream's source throws. */
export async function respond(
  response: ServerResponse,
  answer: Answer,
  isHead: boolean,
): Promise<void> {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  switch (answer.kind) {
    case "json":
      return whole(
        response,
        answer.status,
        "application/json",
        `${JSON.stringify(answer.value)}\n`,
      );
    case "empty":
      response.writeHead(answer.status);
      response.end();
      return;
    case "text":
      for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
      return whole(response, answer.status, answer.contentType, isHead ? "" : answer.text);
    case "stream":
      response.writeHead(200, { ...answer.headers, "Content-Type": answer.contentType });
      response.flushHeaders();
      return pipeline(Readable.from(answer.chunks), response);
    case "hijack":
      return raw(response, answer.contentType, answer.stream);
  }
}

export function respondError(response: ServerResponse, error: HttpError): void {
  if (response.headersSent) {
    // Half an answer is out; only the end of the connection can say that it is not whole.
    response.destroy();
    return;
  }
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  // An unread body would be taken for the next request.
  if (error.status === 413) response.setHeader("Connection", "close");
  if (error instanceof VersionError && error.plainText) {
    whole(response, error.status, "text/plain; charset=utf-8", `${error.message}\n`);
  } else {
    whole(response, error.status, "application/json", errorBody(error));
  }
}

export function errorBody(error: HttpError): string {
  return `${JSON.stringify({ message: error.message })}\n`;
}

function whole(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": contentType,
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

/**
 * For a client that did not ask for the connection (Upgrade): bytes until the connection closes, as
 * dockerd does. What such a client sends is its request's body, to its end.
 */
async function raw(response: ServerResponse, contentType: string, duplex: Duplex): Promise<void> {
  response.shouldKeepAlive = false;
  response.useChunkedEncodingByDefault = false;
  response.writeHead(200, { "Content-Type": contentType, Connection: "close" });
  response.flushHeaders();
  response.req.pipe(duplex);
  try {
    await pipeline(Readable.from(duplex), response);
  } finally {
    duplex.destroy();
  }
}
