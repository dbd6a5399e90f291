// `docker cp`: the files of a container, running or not, through a helper process (path-helper.ts) that
// has the container's file system as its root.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import { Status } from "../../proto/gen/containerd/process.js";
import type { MountPoint } from "../seams.js";
import type { Runtime } from "../task/runtime.js";
import type { Containerd } from "./connection.js";
import { type Folders, readKept } from "./folders.js";
import type { PathAnswer, PathRequest, PathRoot } from "./path-protocol.js";
import { mountsOf } from "./rootfs.js";
import { TaskCalls } from "./task-calls.js";

export interface PathTools {
  readonly containerd: Containerd;
  readonly foldersOf: (id: string) => Folders;
  /** The helper's program; the one beside this file unless a test has another. */
  readonly helperPath: string | undefined;
}

// Choices: an answer is one line of JSON, and what the helper complains of is for the log.
const ANSWER_BYTES_MAX = 64 * 1024;
const COMPLAINT_BYTES_MAX = 2_000;

type Wish = Pick<PathRequest, "operation" | "path" | "keepKinds">;

export function containerPaths(tools: PathTools): Runtime["paths"] {
  return {
    async stat(id, path) {
      const helper = await start(tools, id, { operation: "stat", path, keepKinds: false });
      const answer = await helper.answer;
      const stat = answer.kind === "done" ? answer.stat : undefined;
      return stat ?? refusalOf(answer, id, path);
    },
    async read(id, path) {
      const helper = await start(tools, id, { operation: "read", path, keepKinds: false });
      const answer = await helper.answer;
      const stat = answer.kind === "done" ? answer.stat : undefined;
      if (stat === undefined) return refusalOf(answer, id, path);
      return { stat, tar: helper.tar() };
    },
    async write(id, path, tar, { keepKinds }) {
      const helper = await start(tools, id, { operation: "write", path, keepKinds });
      // It stops reading when it refuses; its answer says why.
      const sent = pipeline(tar, helper.input).catch(() => undefined);
      const answer = await helper.answer;
      tar.destroy();
      await sent;
      return answer.kind === "done" ? undefined : refusalOf(answer, id, path);
    },
  };
}

function refusalOf(answer: PathAnswer, id: string, path: string): Refusal {
  switch (answer.kind) {
    case "missing":
      return refuse("not-found", `Could not find the file ${path} in container ${id}`);
    case "refused":
      return refuse(answer.code, answer.message);
    case "failed":
      throw new Fault("CONTAINER_PATH", { container: id, why: answer.message });
    case "done":
      throw new Fault("CONTAINER_PATH", {
        container: id,
        why: "the helper said nothing of the file",
      });
  }
}

interface Helper {
  readonly answer: Promise<PathAnswer>;
  readonly input: Writable;
  /** Ends with a Fault when the helper does not end well; the helper ends with it, read or not. */
  tar(): Readable;
}

async function start(tools: PathTools, id: string, wish: Wish): Promise<Helper> {
  const folders = tools.foldersOf(id);
  const kept = readKept(folders);
  const mountPoints = kept?.mountPoints ?? [];
  const { root, leave } = await rootOf(tools, id, folders, mountPoints);
  const request: PathRequest = {
    ...wish,
    root,
    readOnlyRoot: kept?.readOnlyRoot ?? false,
    volumes: mountPoints.map(({ mount }) => ({ target: mount.target, readOnly: mount.readOnly })),
  };
  const program = tools.helperPath ?? fileURLToPath(new URL("./path-helper.js", import.meta.url));
  const node = [process.execPath, "--v8-pool-size=1", program];
  // Its own mounts are seen by nobody else, and end with it.
  const unshare = ["/usr/bin/unshare", "--mount", "--propagation", "private", "--"];
  const [command = "", ...args] = root.kind === "mounts" ? [...unshare, ...node] : node;
  const child = spawn(command, args, {
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "pipe", "pipe", "pipe"],
  });
  return helperOf(child, request, leave);
}

function helperOf(child: ChildProcess, request: PathRequest, leave: () => Promise<void>): Helper {
  const [stdin, stdout, stderr, requests, answers] = child.stdio as unknown as [
    Writable,
    Readable,
    Readable,
    Writable,
    Readable,
  ];
  let said = "";
  stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(0, COMPLAINT_BYTES_MAX);
  });
  const ended = new Promise<number>((resolve) => {
    child.once("error", (error) => {
      said = error.message;
      resolve(-1);
    });
    child.once("close", (code) => resolve(code ?? -1));
  }).finally(leave);
  stdin.on("error", () => undefined);
  requests.on("error", () => undefined);
  requests.end(JSON.stringify(request));
  return {
    input: stdin,
    answer: (async () => {
      let text = "";
      for await (const chunk of answers) {
        text += chunk;
        if (text.includes("\n") || text.length > ANSWER_BYTES_MAX) break;
      }
      const answer = decode(text);
      if (answer !== undefined) {
        if (answer.kind !== "done" || request.operation !== "read") stdout.resume();
        return answer;
      }
      await ended;
      return { kind: "failed", message: said === "" ? "the helper ended without a word" : said };
    })(),
    tar() {
      const tar = Readable.from(
        (async function* () {
          yield* stdout;
          const code = await ended;
          if (code !== 0) throw new Fault("CONTAINER_PATH", { why: said, code });
        })(),
        { objectMode: false },
      );
      // Also when nobody has begun to read it.
      return tar.once("close", () => child.kill("SIGKILL"));
    },
  };
}

function decode(text: string): PathAnswer | undefined {
  try {
    return JSON.parse(text) as PathAnswer;
  } catch {
    return undefined;
  }
}

async function rootOf(
  { containerd }: PathTools,
  id: string,
  folders: Folders,
  mountPoints: readonly MountPoint[],
): Promise<{ readonly root: PathRoot; readonly leave: () => Promise<void> }> {
  const task = await new TaskCalls(containerd, id).find();
  if (task !== undefined && [Status.RUNNING, Status.PAUSED].includes(task.status)) {
    return { root: { kind: "process", pid: task.pid }, leave: async () => undefined };
  }
  const [rootfs] = await mountsOf(containerd, id);
  if (rootfs === undefined) throw new Fault("SNAPSHOT_MOUNTS", { container: id });
  const folder = join(folders.run, `copy-${process.pid}-${++copies}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { type, source, options } = rootfs;
  const binds = mountPoints
    .filter(({ mount }) => mount.kind !== "tmpfs")
    .map(({ mount, source: from }) => ({ source: from, target: mount.target }))
    .sort((a, b) => a.target.length - b.target.length);
  return {
    root: { kind: "mounts", folder, rootfs: { type, source, options }, binds },
    // Empty here: what the helper mounted on it was seen by the helper alone.
    leave: () => rmdir(folder).catch(() => undefined),
  };
}

let copies = 0;
