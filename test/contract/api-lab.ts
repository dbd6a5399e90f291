// What the tests of the local API stand on: hosts without daemons behind real sockets, and the docker CLI.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveApi } from "../../agent/api/server.js";
import { systemClock } from "../../common/clock.js";
import type { Close } from "../../common/closing.js";
import { silentLogger } from "../../common/log.js";
import { FakeAgentNode, FakeWorld } from "../fakes/agent-node.js";

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApiHost {
  readonly node: FakeAgentNode;
  readonly socketPath: string;
  /** Runs the docker CLI against this host; `stdin` is given and ended. */
  docker(args: readonly string[], options?: DockerOptions): Promise<Ran>;
  http(method: string, path: string, body?: unknown): Promise<HttpAnswer>;
}

export interface DockerOptions {
  readonly stdin?: string;
  /** The version that the CLI speaks; undefined: what it negotiates. */
  readonly apiVersion?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: unknown;
}

export interface ApiLab {
  readonly hosts: Readonly<Record<"h1" | "h2" | "h3", ApiHost>>;
  readonly close: Close;
}

const CLI_TIMEOUT_MS = 15_000;

/** Three hosts at 192.168.133.1 to .3, in no swarm, as the transcripts begin. */
export async function apiLab(): Promise<ApiLab> {
  const folder = await mkdtemp(join(tmpdir(), "skein-api-"));
  const world = new FakeWorld();
  const closes: Close[] = [];
  const host = async (hostname: string, addr: string): Promise<ApiHost> => {
    const node = new FakeAgentNode({ hostname, addr }, world);
    const socketPath = join(folder, `${hostname}.sock`);
    const options = { socketPath, group: "", node, log: silentLogger(), clock: systemClock };
    closes.push(await serveApi(options));
    return {
      node,
      socketPath,
      docker: (args, given) => docker(folder, socketPath, args, given),
      http: (method, path, body) => http(socketPath, method, path, body),
    };
  };
  const hosts = {
    h1: await host("h1", "192.168.133.1"),
    h2: await host("h2", "192.168.133.2"),
    h3: await host("h3", "192.168.133.3"),
  };
  const close = async () => {
    for (const each of closes) await each();
    await rm(folder, { recursive: true, force: true });
  };
  return { hosts, close };
}

function docker(
  folder: string,
  socketPath: string,
  args: readonly string[],
  options: DockerOptions = {},
): Promise<Ran> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    TZ: "UTC",
    DOCKER_HOST: `unix://${socketPath}`,
    DOCKER_CONFIG: join(folder, "docker"),
    ...(options.apiVersion === undefined ? {} : { DOCKER_API_VERSION: options.apiVersion }),
  };
  return new Promise((resolve, reject) => {
    const child = execFile(
      "docker",
      [...args],
      { env, timeout: CLI_TIMEOUT_MS },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== "number") return reject(error);
        resolve({ exitCode: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
      },
    );
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.stdin ?? "");
  });
}

function http(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<HttpAnswer> {
  const payload = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  const headers =
    payload === ""
      ? {}
      : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const { statusCode: status = 0, headers: given } = response;
        resolve({ status, headers: given, text, json: parsed(text) });
      });
    });
    sent.on("error", reject);
    sent.end(payload);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
