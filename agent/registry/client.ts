// A client of the OCI distribution API, for one repository and one operation. containerd 1.6 has no pull
// over gRPC outside of CRI, no look-up of a digest and no progress, so this fetches; containerd stores,
// verifies and unpacks. Credentials live as long as the operation and go to the registry and to the token
// server that it names, to nobody else.
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Refused, refuse } from "../../common/fault.js";
import { type Challenge, isLoopback, parseChallenge, tokenUrl } from "../oci/challenge.js";
import { digestOf } from "../oci/digest.js";
import {
  type Descriptor,
  type Index,
  MANIFEST_BYTES_MAX,
  type Manifest,
  MEDIA,
  parseManifest,
} from "../oci/manifest.js";
import { DEFAULT_DOMAIN, familiarName, familiarText, type Reference } from "../oci/reference.js";
import type { RegistryAuth } from "../seams.js";
import { registryHost } from "./host.js";
import { failed, type Incoming, type Outgoing, readBody, Transport } from "./transport.js";
import { errorText, pullRefusal, registryError } from "./words.js";

// Choices: errors and tokens are short.
const ERROR_BYTES_MAX = 64 * 1024;
const TOKEN_BYTES_MAX = 256 * 1024;
// A blob that breaks off is asked for again from where it broke; so often without a byte more, and at all.
const FRUITLESS_MAX = 3;
const RESUMES_MAX = 20;
const AGAIN_MS = 200;

const ACCEPT = [MEDIA.ociIndex, MEDIA.dockerIndex, MEDIA.ociManifest, MEDIA.dockerManifest].join(
  ", ",
);

export interface Resolved {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
  readonly parsed: Manifest | Index;
}

export class RegistryClient {
  readonly #reference: Reference;
  readonly #transport: Transport;
  readonly #host: ReturnType<typeof registryHost>;
  #base: Promise<URL> | undefined;
  #authorization: string | undefined;

  constructor(
    reference: Reference,
    private readonly auth: RegistryAuth | undefined,
    private readonly actions: "pull" | "pull,push",
    private readonly signal: AbortSignal,
  ) {
    this.#reference = reference;
    this.#host = registryHost(reference.domain);
    this.#transport = new Transport(this.#host.tls);
  }

  close(): void {
    this.#transport.close();
  }

  // ---- Fetching ---------------------------------------------------------------------------------

  /** What a tag or digest leads to. Throws Refused in Docker's words. */
  async manifest(tagOrDigest: string): Promise<Resolved> {
    const url = await this.#url(`manifests/${tagOrDigest}`);
    const answer = await this.#ask({ method: "GET", url, headers: { accept: ACCEPT } });
    if (answer.status !== 200) throw await this.#refusal(answer, url.href);
    const bytes = await readBody(answer, MANIFEST_BYTES_MAX, `the manifest of ${this.#shown}`);
    const digest = digestOf(bytes);
    const wanted = tagOrDigest.includes(":") ? tagOrDigest : digest;
    const claimed = String(answer.headers["docker-content-digest"] ?? digest);
    if (digest !== wanted || (claimed.startsWith("sha256:") && claimed !== digest)) {
      const sentence = `manifest verification failed for digest ${wanted === digest ? claimed : wanted}`;
      throw new Refused(refuse("failed-precondition", sentence));
    }
    const parsed = parseManifest(bytes);
    if (typeof parsed === "string") {
      const sentence = `the manifest of ${this.#shown} cannot be used: ${parsed}`;
      throw new Refused(refuse("failed-precondition", sentence));
    }
    return { bytes, digest, parsed, mediaType: parsed.mediaType };
  }

  /** A short blob, whole and checked. */
  async config(descriptor: Descriptor): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.blob(descriptor)) parts.push(part);
    const bytes = Buffer.concat(parts);
    if (digestOf(bytes) !== descriptor.digest) {
      const sentence = `image config verification failed for digest ${descriptor.digest}`;
      throw new Refused(refuse("failed-precondition", sentence));
    }
    return bytes;
  }

  /**
   * The bytes of a blob, exactly as many as it is described to have; when the registry breaks off, the rest
   * is asked for again. Whether they are the right ones is for whoever stores them to check.
   */
  async *blob({ digest, size }: Descriptor): AsyncGenerator<Buffer> {
    const url = await this.#url(`blobs/${digest}`);
    let offset = 0;
    let fruitless = 0;
    for (let i = 0; offset < size || i === 0; i++) {
      const before = offset;
      let failure: unknown;
      try {
        for await (const part of this.#blobFrom(url, offset)) {
          if (offset + part.length > size) {
            const sentence = `blob ${digest} is longer than the ${size} bytes it is said to have`;
            throw new Refused(refuse("failed-precondition", sentence));
          }
          offset += part.length;
          yield part;
        }
        if (offset < size) failure = failed({ method: "GET", url }, "unexpected EOF");
      } catch (error) {
        this.signal.throwIfAborted();
        if (!mayPass(error)) throw error;
        failure = error;
      }
      fruitless = offset > before ? 0 : fruitless + 1;
      if (failure !== undefined && (fruitless >= FRUITLESS_MAX || i >= RESUMES_MAX)) throw failure;
      if (offset < size)
        await sleep(AGAIN_MS * (fruitless + 1), undefined, { signal: this.signal });
    }
  }

  async *#blobFrom(url: URL, offset: number): AsyncGenerator<Buffer> {
    const headers = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const answer = await this.#ask({ method: "GET", url, headers: { ...headers } });
    if (answer.status !== 200 && answer.status !== 206) throw await this.#refusal(answer, url.href);
    // One that does not know ranges sends all of it again.
    let skip = answer.status === 200 ? offset : 0;
    const range = /^bytes (\d+)-/.exec(String(answer.headers["content-range"] ?? ""));
    if (answer.status === 206 && range !== null && Number(range[1]) !== offset) {
      answer.body.destroy();
      throw failed({ method: "GET", url }, "the registry sent another range than was asked for");
    }
    try {
      for await (const part of answer.body as AsyncIterable<Buffer>) {
        const fresh = part.subarray(Math.min(skip, part.length));
        skip -= part.length - fresh.length;
        if (fresh.length > 0) yield fresh;
      }
    } catch {
      this.signal.throwIfAborted();
      throw failed({ method: "GET", url }, "unexpected EOF");
    } finally {
      answer.body.destroy();
    }
  }

  // ---- Pushing ----------------------------------------------------------------------------------

  async hasBlob(digest: string): Promise<boolean> {
    const url = await this.#url(`blobs/${digest}`);
    const answer = await this.#ask({ method: "HEAD", url, headers: {} });
    answer.body.destroy();
    if (answer.status === 200) return true;
    if (answer.status === 404) return false;
    throw await this.#pushRefusal(answer, url);
  }

  /** In one piece (distribution-spec, "POST then PUT"). */
  async putBlob({ digest, size }: Descriptor, source: Readable): Promise<void> {
    try {
      const start = await this.#url("blobs/uploads/");
      const began = await this.#ask({
        method: "POST",
        url: start,
        headers: { "content-length": "0" },
      });
      if (began.status !== 202) throw await this.#pushRefusal(began, start);
      began.body.destroy();
      const url = uploadUrl(began);
      url.searchParams.set("digest", digest);
      const headers = {
        "content-type": "application/octet-stream",
        "content-length": String(size),
      };
      const answer = await this.#send({ method: "PUT", url, headers, body: source });
      if (answer.status !== 201) throw await this.#pushRefusal(answer, url);
      answer.body.destroy();
    } finally {
      source.destroy();
    }
  }

  async putManifest(tagOrDigest: string, bytes: Buffer, mediaType: string): Promise<void> {
    const url = await this.#url(`manifests/${tagOrDigest}`);
    const headers = { "content-type": mediaType, "content-length": String(bytes.length) };
    const answer = await this.#ask({ method: "PUT", url, headers, body: bytes });
    if (answer.status !== 201) throw await this.#pushRefusal(answer, url);
    answer.body.destroy();
  }

  async #pushRefusal(answer: Incoming, url: URL): Promise<Refused> {
    const body = await readBody(answer, ERROR_BYTES_MAX, "the registry's error");
    const error = registryError(answer.status, body);
    if (error.code === "") {
      const sentence = `received unexpected HTTP status: ${answer.status} for ${url.pathname}`;
      return new Refused(refuse("unavailable", sentence));
    }
    const code = [401, 403].includes(answer.status) ? "permission-denied" : "unavailable";
    return new Refused(refuse(code, errorText(error)));
  }

  // ---- Login ------------------------------------------------------------------------------------

  /** Whether the registry takes the credentials. */
  async login(): Promise<void> {
    const url = new URL("/v2/", await this.#baseUrl());
    const answer = await this.#ask({ method: "GET", url, headers: {} });
    answer.body.destroy();
    if (answer.status === 200) return;
    const code = answer.status === 401 ? "permission-denied" : "unavailable";
    const text = answer.status === 401 ? "401 Unauthorized" : String(answer.status);
    throw new Refused(refuse(code, `login attempt to ${url.href} failed with status: ${text}`));
  }

  // ---- Who we are, and where it is --------------------------------------------------------------

  get #shown(): string {
    return familiarText(this.#reference);
  }

  async #url(rest: string): Promise<URL> {
    return new URL(`/v2/${this.#reference.path}/${rest}`, await this.#baseUrl());
  }

  #baseUrl(): Promise<URL> {
    this.#base ??= this.#findBase();
    return this.#base;
  }

  async #findBase(): Promise<URL> {
    const { host, plainFirst } = this.#host;
    const secure = new URL(`https://${host}`);
    if (!plainFirst) return secure;
    const plain = new URL(`http://${host}`);
    const answer = await this.#transport.send(
      { method: "GET", url: new URL("/v2/", plain), headers: {} },
      this.signal,
    );
    const body = await readBody(answer, ERROR_BYTES_MAX, "the registry's first answer");
    // Go's servers, and nginx, say so on their TLS ports.
    const wantsTls = answer.status === 400 && /HTTPS/.test(body.toString("latin1"));
    return wantsTls ? secure : plain;
  }

  /** Sends, and once more with what the registry wants to know first; a token may have run out meanwhile. */
  async #ask(outgoing: Outgoing): Promise<Incoming> {
    const before = this.#authorization;
    const answer = await this.#send(outgoing);
    // Only the registry itself is told who we are, not one that it sent us on to.
    if (answer.status !== 401 || answer.url.origin !== outgoing.url.origin) return answer;
    const challenge = parseChallenge(String(answer.headers["www-authenticate"] ?? ""));
    if (challenge === undefined) return answer;
    if (challenge.scheme === "basic" && before !== undefined) return answer;
    answer.body.destroy();
    this.#authorization = await this.#answerTo(challenge, outgoing);
    return this.#send(outgoing);
  }

  #send(outgoing: Outgoing): Promise<Incoming> {
    const authorization = this.#authorization;
    // Where an upload goes may be another host's address, or this one's without TLS.
    const { protocol, host, hostname } = outgoing.url;
    const own = host === this.#host.host && (protocol === "https:" || isLoopback(hostname));
    const headers =
      authorization === undefined || !own
        ? outgoing.headers
        : { ...outgoing.headers, authorization };
    return this.#transport.send({ ...outgoing, headers }, this.signal);
  }

  async #answerTo(challenge: Challenge, outgoing: Outgoing): Promise<string> {
    const { username = "", password = "", registryToken = "" } = this.auth ?? {};
    if (challenge.scheme === "bearer") {
      return `Bearer ${registryToken || (await this.#token(challenge, outgoing))}`;
    }
    if (username === "") throw failed(outgoing, "no basic auth credentials");
    return basic(username, password);
  }

  async #token(challenge: Challenge, outgoing: Outgoing): Promise<string> {
    const scope =
      this.#reference.path === "" ? "" : `repository:${this.#reference.path}:${this.actions}`;
    const url = tokenUrl(challenge, scope, outgoing.url.protocol === "http:");
    if (url === undefined) {
      throw failed(outgoing, "the registry names no safe place to get a token from");
    }
    const request = this.#tokenRequest(url);
    const answer = await this.#transport.send(request, this.signal);
    const body = await readBody(answer, TOKEN_BYTES_MAX, "the token server's answer");
    if (answer.status !== 200) {
      const error = registryError(answer.status, body);
      const why = error.code === "" ? `unexpected status ${answer.status}` : errorText(error);
      const words = failed(request, why).refusal.message;
      throw new Refused(
        refuse([401, 403].includes(answer.status) ? "permission-denied" : "unavailable", words),
      );
    }
    const { token, access_token: access } = jsonOf(body);
    const found = [token, access].find((each) => typeof each === "string" && each !== "");
    if (typeof found !== "string" || !/^[\x21-\x7e]+$/.test(found)) {
      throw failed(request, "authorization server did not include a token in the response");
    }
    return found;
  }

  #tokenRequest(url: URL): Outgoing {
    const { username = "", password = "", identityToken = "" } = this.auth ?? {};
    if (identityToken === "") {
      if (username !== "") url.searchParams.set("account", username);
      const headers: Record<string, string> =
        username === "" ? {} : { authorization: basic(username, password) };
      return { method: "GET", url, headers };
    }
    // OAuth 2 (distribution spec/auth/oauth.md): `docker login` kept a refresh token.
    const form = new URLSearchParams(url.search);
    form.set("grant_type", "refresh_token");
    form.set("client_id", "skein");
    form.set("refresh_token", identityToken);
    const bare = new URL(url.pathname, url);
    const body = Buffer.from(form.toString());
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "content-length": String(body.length),
    };
    return { method: "POST", url: bare, headers, body };
  }

  async #refusal(answer: Incoming, what: string): Promise<Refused> {
    const { status } = answer;
    const said = registryError(
      status,
      await readBody(answer, ERROR_BYTES_MAX, "the registry's error"),
    );
    // With a token that does not reach this far, "unauthorized" means that the repository is not for us.
    const denied = said.code === "UNAUTHORIZED" && this.#authorization?.startsWith("Bearer ");
    const error = denied ? { code: "DENIED", message: "" } : said;
    const reference = this.#reference;
    return new Refused(
      pullRefusal(status, error, familiarName(reference), familiarText(reference), what),
    );
  }
}

/** Where the registry wants the bytes; never over plain HTTP to another machine. */
function uploadUrl(began: Incoming): URL {
  const location = began.headers.location ?? "";
  const url = URL.canParse(location, began.url.href) ? new URL(location, began.url) : undefined;
  const safe =
    url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname));
  if (url !== undefined && safe) return url;
  throw failed(
    { method: "POST", url: began.url },
    "the registry wants the bytes where none may go",
  );
}

/** `docker login`: whose the address is that it names. */
export function loginReference(serverAddress: string): Reference | undefined {
  const host = serverAddress.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  const hub = host === "" || host === "index.docker.io" || host === "docker.io";
  if (!hub && !/^[a-zA-Z0-9.-]+(:\d+)?$|^\[[0-9a-f:]+\](:\d+)?$/.test(host)) return undefined;
  return { domain: hub ? DEFAULT_DOMAIN : host, path: "", tag: "", digest: "" };
}

/** A failure that asking again may mend: not a refusal by the registry. */
function mayPass(error: unknown): boolean {
  return (
    error instanceof Refused &&
    error.refusal.code === "unavailable" &&
    !/x509|connection refused|no such host/.test(error.refusal.message)
  );
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function jsonOf(body: Buffer): Record<string, unknown> {
  try {
    return (JSON.parse(body.toString("utf8")) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
