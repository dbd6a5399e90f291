// /containers/{id}/archive: what `docker cp` reads and writes.
import type { PathStat } from "../seams.js";
import { type Answer, empty, stream, text } from "./answer.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import { badRequest, here, unserved } from "./http-error.js";
import { type Route, route } from "./router.js";
import { goTime } from "./times.js";

export const ARCHIVE_ROUTES: readonly Route[] = [
  route("HEAD", "/containers/{id}/archive", look),
  route("GET", "/containers/{id}/archive", read),
  route("PUT", "/containers/{id}/archive", write),
];

async function look(call: Call): Promise<Answer> {
  const stat = here(await call.node.containers.statPath(param(call, "id"), pathOf(call)));
  return text("", "text/plain; charset=utf-8", statHeader(stat));
}

async function read(call: Call): Promise<Answer> {
  const { stat, tar } = here(await call.node.containers.readPath(param(call, "id"), pathOf(call)));
  call.signal.addEventListener("abort", () => tar.destroy(), { once: true });
  return stream("application/x-tar", tar, statHeader(stat));
}

async function write(call: Call): Promise<Answer> {
  const keepKinds = queryFlag(call, "noOverwriteDirNonDir");
  const path = pathOf(call);
  if (queryFlag(call, "copyUIDGID")) {
    const { spec } = here(call.node.containers.get(param(call, "id")));
    // dockerd gives them to the container's user; root's they are without being given.
    if (!/^(?:root|0|)(?::(?:root|0))?$/.test(spec.user)) {
      throw unserved("giving copied files to the container's user (-a) is");
    }
  }
  here(await call.node.containers.writePath(param(call, "id"), path, call.upload(), { keepKinds }));
  return empty(200);
}

function pathOf(call: Call): string {
  const path = queryText(call, "path");
  if (path === "") throw badRequest("missing path parameter");
  if (path.includes("\0")) throw badRequest("a path cannot hold a zero byte");
  return path;
}

function statHeader(stat: PathStat): Record<string, string> {
  const json = {
    name: stat.name,
    size: stat.size,
    mode: stat.mode,
    mtime: goTime(stat.mtimeMs),
    linkTarget: stat.linkTarget,
  };
  const encoded = Buffer.from(JSON.stringify(json)).toString("base64");
  return { "X-Docker-Container-Path-Stat": encoded };
}
