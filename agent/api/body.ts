// The body of a request: bounded, whole, and JSON.
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { badRequest, HttpError } from "./http-error.js";
import { type Json, parseJson } from "./json.js";

// Choice: the largest honest body is a container's command and environment, which are at most 1 MiB
// together (agent/task), written as JSON. What is longer is refused with 413 and not read to its end.
export const BODY_BYTES_MAX = 4 * 1024 * 1024;

/** undefined for no body at all; dockerd's words for what cannot be read. */
export async function readJson(
  source: Readable,
  headers: IncomingHttpHeaders,
  timeoutMs: number,
): Promise<Json | undefined> {
  const announced = Number(headers["content-length"] ?? 0);
  if (announced > BODY_BYTES_MAX) throw tooLong();
  const text = await inTime(readText(source), timeoutMs);
  if (text.trim() === "") throw badRequest("got EOF while reading request body");
  const type = headers["content-type"] ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw badRequest(`unsupported Content-Type header (${type}): must be 'application/json'`);
  }
  return parseJson(text);
}

async function readText(source: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) throw tooLong();
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("the request body is not UTF-8");
  }
}

async function inTime<T>(reading: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new HttpError(408, "the request took too long")), timeoutMs);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLong(): HttpError {
  return new HttpError(413, `the request body is longer than ${BODY_BYTES_MAX} bytes`);
}
