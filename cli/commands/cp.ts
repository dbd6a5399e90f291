// skein cp: files between this machine and a container, whether it runs or not. Where something goes
// follows cp(1) and docker: into a folder that is there, under a new name otherwise; "path/." is what is
// in the folder, without it.
import { lstat, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { packTree, readFailure, unpackTree } from "../container/tree.js";
import { DaemonError, segment } from "../http/api.js";
import { size } from "../image/progress.js";
import { number, parseJson, text } from "../json.js";

interface Place {
  /** Empty: this machine. */
  readonly container: string;
  /** "-": the standard streams. */
  readonly path: string;
}

export const cp: Handler = async (cli, { args, flags }) => {
  const [from = "", to = ""] = args;
  const source = placeOf(from);
  const target = placeOf(to);
  const follow = flags.bool("follow-link");
  if (source.container !== "" && target.container !== "") {
    throw new Failure("copying between containers is not supported");
  }
  if (source.container === "" && target.container === "") {
    throw new Failure("must specify at least one container source");
  }
  const bytes =
    source.container !== ""
      ? await fromContainer(cli, source, target.path, follow)
      : await intoContainer(cli, source.path, target, follow);
  if (bytes !== undefined && cli.err.isTerminal && !flags.bool("quiet")) {
    cli.err.write(`Successfully copied ${size(bytes)} to ${to}\n`);
  }
  return 0;
};

/** "CONTAINER:PATH"; what begins with "/" or "." is a path of this machine, whatever follows. */
function placeOf(written: string): Place {
  const at = written.indexOf(":");
  if (at < 0 || /^[./]/.test(written)) return { container: "", path: written };
  return { container: written.slice(0, at), path: written.slice(at + 1) };
}

interface There {
  readonly isFolder: boolean;
  readonly linkTarget: string;
}

// Go's os.FileMode, which the API shows: the bit of a folder and of a link.
const GO_MODE_DIR = 0x80000000;

async function lookInside(cli: Cli, { container, path }: Place): Promise<There | undefined> {
  try {
    const response = await cli.api.stream("HEAD", archiveOf(container), { query: { path } });
    response.resume();
    const header = String(response.headers["x-docker-container-path-stat"] ?? "");
    const found = parseJson(Buffer.from(header, "base64").toString("utf8"));
    const isFolder = number(found, "mode") >= GO_MODE_DIR;
    return { isFolder, linkTarget: text(found, "linkTarget") };
  } catch (error) {
    if (error instanceof DaemonError && error.status === 404 && !/container/.test(error.reason)) {
      return undefined;
    }
    throw error;
  }
}

function archiveOf(container: string): string {
  return `/containers/${segment("container", container)}/archive`;
}

/** A link is followed where the person said so, or where it is the target. */
async function resolved(cli: Cli, place: Place): Promise<Place> {
  const there = await lookInside(cli, place);
  if (there === undefined || there.linkTarget === "") return place;
  return { ...place, path: resolve(dirname(place.path), there.linkTarget) };
}

async function fromContainer(
  cli: Cli,
  source: Place,
  target: string,
  follow: boolean,
): Promise<number | undefined> {
  const place = follow ? await resolved(cli, source) : source;
  const path = place.path === "" ? "/" : place.path;
  const archive = await cli.api.stream("GET", archiveOf(place.container), { query: { path } });
  if (target === "-") {
    for await (const chunk of archive) cli.out.write(chunk);
    return undefined;
  }
  const header = String(archive.headers["x-docker-container-path-stat"] ?? "");
  const found = parseJson(Buffer.from(header, "base64").toString("utf8"));
  const isFolder = number(found, "mode") >= GO_MODE_DIR;
  const there = await stat(target).catch(() => undefined);
  const { folder, name } = destination(target, there?.isDirectory(), isFolder, endsInside(path));
  try {
    return await unpackTree(archive, folder, name);
  } catch (error) {
    throw error instanceof Failure ? error : readFailure(folder, error);
  }
}

async function intoContainer(
  cli: Cli,
  source: string,
  target: Place,
  follow: boolean,
): Promise<number | undefined> {
  const place = await resolved(cli, { ...target, path: target.path === "" ? "/" : target.path });
  if (source === "-") {
    await upload(cli, place.container, place.path, cli.input.stream);
    return undefined;
  }
  const look = follow || endsInside(source) ? stat : lstat;
  const info = await look(source).catch((error: unknown) => {
    throw readFailure(source, error);
  });
  const there = await lookInside(cli, place);
  const isFolder = info.isDirectory();
  const { folder, name } = destination(place.path, there?.isFolder, isFolder, endsInside(source));
  await upload(cli, place.container, folder, packTree(source, name ?? basename(resolve(source))));
  return isFolder ? undefined : info.size;
}

async function upload(
  cli: Cli,
  container: string,
  path: string,
  content: NonNullable<Parameters<Cli["api"]["stream"]>[2]>["content"],
): Promise<void> {
  const response = await cli.api.stream("PUT", archiveOf(container), {
    query: { path, noOverwriteDirNonDir: true },
    ...(content === undefined ? {} : { content }),
  });
  response.resume();
}

function endsInside(path: string): boolean {
  return path === "." || path.endsWith("/.");
}

/** The folder to unpack in, and the name that the top of the archive gets there; undefined: its own. */
function destination(
  target: string,
  targetIsFolder: boolean | undefined,
  sourceIsFolder: boolean,
  contents: boolean,
): { readonly folder: string; readonly name: string | undefined } {
  if (targetIsFolder === true) return { folder: target, name: contents ? "." : undefined };
  if (targetIsFolder === false && sourceIsFolder) throw new Failure("cannot copy directory");
  if (targetIsFolder === undefined && !sourceIsFolder && target.endsWith("/")) {
    throw new Failure("no such directory");
  }
  const plain = target.replace(/\/+$/, "") || "/";
  return { folder: dirname(plain), name: basename(plain) };
}
