// A registry with one image, in memory, on loopback: it can break off, lie, redirect and want tokens.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { digestOf } from "../../agent/oci/digest.js";
import { type Descriptor, MEDIA } from "../../agent/oci/manifest.js";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string;
  readonly range: string;
}

type Hook = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

export class FakeRegistry {
  readonly seen: Seen[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { readonly bytes: Buffer; readonly type: string }>();
  /** Answers instead, when it says true. */
  hook: Hook = () => false;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  get host(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  addBlob(bytes: Buffer, mediaType: string): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  /** An image of one layer for each text; answers its manifest's descriptor. */
  async addImage(
    tag: string,
    texts: readonly string[],
    architecture = "amd64",
  ): Promise<Descriptor> {
    const tars = await Promise.all(texts.map((text, i) => tarOf(`file${i}`, Buffer.from(text))));
    const layers = tars.map((tar) => this.addBlob(gzipSync(tar), MEDIA.dockerLayerGzip));
    const config = {
      architecture,
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
    };
    const descriptor = this.addBlob(Buffer.from(JSON.stringify(config)), MEDIA.dockerConfig);
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA.dockerManifest,
      config: descriptor,
      layers,
    };
    return this.addManifest(tag, manifest, MEDIA.dockerManifest);
  }

  addManifest(tag: string, value: object, type: string): Descriptor {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    for (const name of [tag, digest]) this.manifests.set(name, { bytes, type });
    return { mediaType: type, digest, size: bytes.length };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "/";
    const { authorization = "", range = "" } = request.headers;
    this.seen.push({ method: request.method ?? "", path, authorization, range });
    if (this.hook(request, response, path)) return;
    const [, kind, name = ""] = /^\/v2\/.+\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    const manifest = kind === "manifests" ? this.manifests.get(name) : undefined;
    const blob = kind === "blobs" ? this.blobs.get(name) : undefined;
    if (path === "/v2/") response.end("{}");
    else if (manifest) response.setHeader("content-type", manifest.type).end(manifest.bytes);
    else if (blob) sendBlob(response, blob, range);
    else
      refuse(
        response,
        404,
        kind === "blobs" ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN",
        "manifest unknown",
      );
  }
}

export function sendBlob(
  response: ServerResponse,
  blob: Buffer,
  range: string,
  until?: number,
): void {
  const from = Number(/^bytes=(\d+)-/.exec(range)?.[1] ?? 0);
  const headers = { "content-length": blob.length - from };
  response.writeHead(range === "" ? 200 : 206, {
    ...headers,
    ...(range !== "" && { "content-range": `bytes ${from}-${blob.length - 1}/${blob.length}` }),
  });
  if (until === undefined) response.end(blob.subarray(from));
  // The connection ends in the middle.
  else response.write(blob.subarray(from, from + until), () => response.destroy());
}

export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

export function tarOf(name: string, bytes: Buffer): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name, mtime: new Date(0) }, bytes);
  archive.finalize();
  return buffer(archive);
}
