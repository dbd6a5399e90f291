// An HTTP server on a unix socket of its own that answers what a real daemon answered.
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Json } from "../json.js";

export interface Exchange {
  readonly method: string;
  /** Without the API's version. */
  readonly path: string;
  readonly status: number;
  readonly body: string;
}

export interface Heard {
  readonly method: string;
  readonly path: string;
  readonly body: Json;
}

/** Answers itself when it returns true. */
export type Custom = (heard: Heard, response: http.ServerResponse) => boolean;
export type Upgrade = (heard: Heard, socket: Duplex) => void;

export interface FakeAgentOptions {
  readonly exchanges?: readonly Exchange[];
  readonly custom?: Custom;
  readonly upgrade?: Upgrade;
}

export class FakeAgent {
  readonly heard: Heard[] = [];
  private readonly upgraded: Duplex[] = [];
  private constructor(
    private readonly server: http.Server,
    private readonly folder: string,
    readonly socketPath: string,
  ) {}

  static async start(options: FakeAgentOptions): Promise<FakeAgent> {
    const folder = await mkdtemp(join(tmpdir(), "skein-cli-"));
    const socketPath = join(folder, "skein.sock");
    const left = [...(options.exchanges ?? [])];
    const server = http.createServer();
    const agent = new FakeAgent(server, folder, socketPath);
    server.on("request", async (request, response) => {
      const heard = await hear(request);
      if (isPing(heard)) return ping(response);
      agent.heard.push(heard);
      if (options.custom?.(heard, response) === true) return undefined;
      const found = pick(left, heard);
      response.statusCode = found?.status ?? 501;
      response.setHeader("Content-Type", "application/json");
      response.end(found?.body ?? JSON.stringify({ message: `not canned: ${heard.path}` }));
      return undefined;
    });
    server.on("upgrade", async (request, socket) => {
      const body = request.headers["content-length"] === undefined ? {} : await hear(request);
      const heard = { method: "POST", path: plainPath(request.url ?? ""), body };
      agent.heard.push(heard);
      agent.upgraded.push(socket);
      socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
      options.upgrade?.(heard, socket);
    });
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    return agent;
  }

  async stop(): Promise<void> {
    for (const socket of this.upgraded) socket.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** docker asks this first, to learn which version to speak. */
function isPing(heard: Heard): boolean {
  return heard.path === "/_ping";
}

function ping(response: http.ServerResponse): void {
  response.writeHead(200, { "Api-Version": "1.50", Ostype: "linux" });
  response.end();
}

/** The next answer to this request; the last one stays for whoever asks again. */
function pick(left: Exchange[], heard: Heard): Exchange | undefined {
  const same = (one: Exchange) => one.method === heard.method && one.path === heard.path;
  const alike = (one: Exchange) =>
    one.method === heard.method && one.path.split("?")[0] === heard.path.split("?")[0];
  const matches = left.filter(same).length > 0 ? left.filter(same) : left.filter(alike);
  const first = matches[0];
  if (first !== undefined && matches.length > 1) left.splice(left.indexOf(first), 1);
  return first;
}

function plainPath(url: string): string {
  return url.replace(/^\/v1\.\d+/, "");
}

async function hear(request: http.IncomingMessage): Promise<Heard> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const text = Buffer.concat(chunks).toString("utf8");
  let body: Json;
  try {
    body = text === "" ? null : JSON.parse(text);
  } catch {
    body = text;
  }
  return { method: request.method ?? "", path: plainPath(request.url ?? ""), body };
}
