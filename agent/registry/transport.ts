// HTTP to registries: bounded in time and size, redirects without credentials, and failures in the words
// that Go's HTTP client has for them, which are those that Docker shows.
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import * as http from "node:http";
import * as https from "node:https";
import type { Readable } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { messageOf, Refused, refuse } from "../../common/fault.js";
import { isLoopback } from "../oci/challenge.js";

export interface Outgoing {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | Readable | undefined;
}

export interface Incoming {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
  /** After redirects. */
  readonly url: URL;
}

export type Tls = SecureContextOptions & { readonly rejectUnauthorized?: boolean };

// Choices. A registry that says nothing for this long is not going to.
const CONNECT_MS = 15_000;
const SILENCE_MS = 60_000;
const REDIRECTS_MAX = 5;
const SOCKETS_MAX = 6;

export class Transport {
  readonly #plain = new http.Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  readonly #secure: https.Agent;

  constructor(tls: Tls) {
    this.#secure = new https.Agent({ ...tls, keepAlive: true, maxSockets: SOCKETS_MAX });
  }

  /** The answer, whatever its status; its body is to be read or destroyed. Throws Refused when there is none. */
  async send(outgoing: Outgoing, signal: AbortSignal): Promise<Incoming> {
    let { url, headers } = outgoing;
    for (let i = 0; i <= REDIRECTS_MAX; i++) {
      const answer = await this.#once({ ...outgoing, url, headers }, signal);
      const { location } = answer.headers;
      const redirects = [301, 302, 303, 307, 308].includes(answer.status);
      const safe = outgoing.method === "GET" || outgoing.method === "HEAD";
      if (!redirects || location === undefined || !safe) return answer;
      answer.body.destroy();
      const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
      const plain = next?.protocol === "http:" && !isLoopback(next.hostname);
      if (next === undefined || !/^https?:$/.test(next.protocol) || plain) {
        const why = "the registry redirects to where no image may be fetched from";
        throw new Refused(refuse("failed-precondition", failed(outgoing, why).refusal.message));
      }
      if (next.origin !== url.origin) {
        const { authorization: _, ...others } = headers;
        headers = others;
      }
      url = next;
    }
    throw failed(outgoing, `stopped after ${REDIRECTS_MAX} redirects`);
  }

  #once(outgoing: Outgoing, signal: AbortSignal): Promise<Incoming> {
    const { method, url, headers, body } = outgoing;
    const secure = url.protocol === "https:";
    return new Promise((resolve, reject) => {
      const options = {
        method,
        headers: { "user-agent": "skein", ...headers },
        agent: secure ? this.#secure : this.#plain,
        signal,
        maxHeaderSize: 32 * 1024,
      };
      const request: ClientRequest = (secure ? https : http).request(url, options);
      const fail = (why: string) => {
        request.destroy();
        reject(failed(outgoing, why));
      };
      const connecting = setTimeout(() => fail(`dial tcp ${url.host}: i/o timeout`), CONNECT_MS);
      const connected = () => clearTimeout(connecting);
      request.on("socket", (socket) => {
        if (socket.connecting) socket.once(secure ? "secureConnect" : "connect", connected);
        else connected();
      });
      request.setTimeout(SILENCE_MS, () => fail("net/http: timeout awaiting response headers"));
      request.on("close", connected);
      request.on("error", (error) => {
        connected();
        reject(signal.aborted ? signal.reason : failed(outgoing, networkWords(error, url)));
      });
      request.on("response", (answer) => {
        answer.setTimeout(SILENCE_MS, () => answer.destroy(new Error("i/o timeout")));
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer, url });
      });
      if (body === undefined) request.end();
      else if (Buffer.isBuffer(body)) request.end(body);
      else {
        body.on("error", (error) => request.destroy(error));
        body.pipe(request);
      }
    });
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }
}

/** The whole body, of at most so many bytes; what is longer is refused. */
export async function readBody(answer: Incoming, bytesMax: number, what: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  const announced = Number(answer.headers["content-length"] ?? 0);
  try {
    if (announced > bytesMax) throw tooLong(what, bytesMax);
    for await (const part of answer.body as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > bytesMax) throw tooLong(what, bytesMax);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(refuse("unavailable", `Get "${answer.url.href}": unexpected EOF`));
  } finally {
    answer.body.destroy();
  }
  return Buffer.concat(parts, length);
}

function tooLong(what: string, bytesMax: number): Refused {
  return new Refused(refuse("failed-precondition", `${what} is longer than ${bytesMax} bytes`));
}

export function failed({ method, url }: Pick<Outgoing, "method" | "url">, why: string): Refused {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return new Refused(refuse("unavailable", `${verb} "${url.href}": ${why}`));
}

function networkWords(error: NodeJS.ErrnoException, { hostname, host }: URL): string {
  // Of a name with several addresses, each failed; the first says enough.
  const first =
    error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  const { code, message, address, port } = first as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  const at =
    address === undefined
      ? host
      : address.includes(":")
        ? `[${address}]:${port}`
        : `${address}:${port}`;
  switch (code) {
    case "ECONNREFUSED":
      return `dial tcp ${at}: connect: connection refused`;
    case "ENETUNREACH":
      return `dial tcp ${at}: connect: network is unreachable`;
    case "EHOSTUNREACH":
      return `dial tcp ${at}: connect: no route to host`;
    case "ETIMEDOUT":
      return `dial tcp ${at}: i/o timeout`;
    case "ENOTFOUND":
      return `dial tcp: lookup ${hostname}: no such host`;
    case "EAI_AGAIN":
      return `dial tcp: lookup ${hostname}: Temporary failure in name resolution`;
    case "ECONNRESET":
      return message === "socket hang up" ? "EOF" : "read: connection reset by peer";
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `tls: failed to verify certificate: x509: certificate is not valid for ${hostname}`;
    case "EPROTO":
      return "http: server gave HTTP response to HTTPS client";
    default:
      return messageOf(first);
  }
}
