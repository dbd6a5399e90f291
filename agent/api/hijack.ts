// A connection that stops being HTTP: the client asks with "Upgrade: tcp", and after 101 the bytes are a
// container's, both ways, each way ending by itself. Node.js hands such a request over with its body
// unread, so the body (`exec start` has one) is cut off here.
import { type IncomingMessage, STATUS_CODES } from "node:http";
import { type Duplex, PassThrough, type Readable } from "node:stream";
import type { Answer } from "./answer.js";
import { BODY_BYTES_MAX } from "./body.js";
import { HttpError } from "./http-error.js";
import { errorBody, HEADERS } from "./respond.js";

/** The first `Content-Length` bytes; what follows them stays in the socket. */
export async function takeBody(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<{ readonly body: Readable; readonly rest: Buffer }> {
  if (request.headers["transfer-encoding"] !== undefined) {
    throw new HttpError(411, "a request that upgrades needs a Content-Length");
  }
  const wanted = Number(request.headers["content-length"] ?? 0);
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > BODY_BYTES_MAX) {
    throw new HttpError(413, `the request body is longer than ${BODY_BYTES_MAX} bytes`);
  }
  const body = new PassThrough();
  let have = head;
  while (have.length < wanted) have = Buffer.concat([have, await nextChunk(socket)]);
  body.end(have.subarray(0, wanted));
  return { body, rest: have.subarray(wanted) };
}

function nextChunk(socket: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      socket.off("data", onData).off("end", onEnd).off("close", onEnd);
      socket.pause();
    };
    const onData = (chunk: Buffer) => {
      stop();
      resolve(chunk);
    };
    const onEnd = () => {
      stop();
      reject(new HttpError(400, "got EOF while reading request body"));
    };
    socket.on("data", onData).on("end", onEnd).on("close", onEnd);
    socket.resume();
  });
}

/** Resolves when both ways have ended or either broke. */
export function hijack(
  socket: Duplex,
  rest: Buffer,
  answer: Extract<Answer, { kind: "hijack" }>,
): Promise<void> {
  const { stream, contentType } = answer;
  socket.write(
    `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n` +
      `Api-Version: ${HEADERS["Api-Version"]}\r\n\r\n`,
  );
  if (rest.length > 0) stream.write(rest);
  return new Promise((resolve) => {
    const finish = () => {
      stream.destroy();
      socket.destroy();
      resolve();
    };
    socket.on("error", finish).on("close", finish);
    stream.on("error", finish);
    // The container's end is the connection's; the client's end of input is only that.
    stream.on("end", () => socket.end());
    stream.on("close", () => socket.end());
    socket.pipe(stream);
    stream.pipe(socket, { end: false });
  });
}

/** A whole answer on a connection that was to be upgraded and is not; then it closes. */
export function answerWhole(
  socket: Duplex,
  status: number,
  contentType: string,
  body: string,
): void {
  const headers = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${headers.join("")}` +
      `Content-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}

export function refuseUpgrade(socket: Duplex, error: HttpError): void {
  answerWhole(socket, error.status, "application/json", errorBody(error));
}
