// skein image …, and pull, images, rmi, tag, save, load, import, history at the top.
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { messageOf } from "../../common/fault.js";
import { GoTime, show } from "../../common/template/value.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { printInspected } from "../format/inspecting.js";
import { type Listing, printListing } from "../format/listing.js";
import { ellipsis, humanDuration, shortId } from "../format/units.js";
import { segment } from "../http/api.js";
import { authHeaders } from "../image/auth.js";
import { showProgress, size } from "../image/progress.js";
import { nameAndTag, pullImage } from "../image/pull.js";
import { items, type Json, list, number, strings, text } from "../json.js";
import { confirm } from "../term/prompt.js";
import { forEach } from "./each.js";
import { filterQuery } from "./network.js";

/** Slashes of a name stay slashes in the path. */
function imagePath(ref: string, action = ""): string {
  const name = segment("image", ref).replaceAll("%2F", "/").replaceAll("%3A", ":");
  return `/images/${name.replaceAll("%40", "@")}${action}`;
}

export const pull: Handler = async (cli, { args, flags }) => {
  const image = args[0] ?? "";
  const allTags = flags.bool("all-tags");
  const { name, tag } = nameAndTag(image, allTags);
  const said = !flags.has("quiet") && !allTags && !image.includes("@") && tag === "latest";
  if (said && !image.endsWith(":latest")) cli.out.write("Using default tag: latest\n");
  const wish = { image, platform: flags.text("platform"), quiet: flags.bool("quiet"), allTags };
  await pullImage(cli, wish, cli.out);
  const shown = image.includes("@") ? image : `${name}:${tag}`;
  cli.out.write(`${fullName(shown)}\n`);
  return 0;
};

/** What docker prints at the end: the name with everything that was left out. */
function fullName(image: string): string {
  const [first = "", ...rest] = image.split("/");
  if (rest.length === 0) return `docker.io/library/${image}`;
  return /[.:]/.test(first) || first === "localhost" ? image : `docker.io/${image}`;
}

export const push: Handler = async (cli, { args, flags }) => {
  const image = args[0] ?? "";
  const { name, tag } = nameAndTag(image, false);
  const stream = await cli.api.stream("POST", imagePath(name, "/push"), {
    query: { tag },
    headers: { "X-Registry-Auth": "e30", ...(await authHeaders(cli, image)) },
  });
  await showProgress(cli, stream, cli.out, flags.bool("quiet"));
  return 0;
};

export const ls: Handler = async (cli, { args, flags }) => {
  const filters = flags.filters();
  const [reference] = args;
  const wanted =
    reference === undefined ? filters : { ...filters, reference: { [reference]: true } };
  const query = { ...filterQuery(wanted), ...(flags.bool("all") ? { all: 1 } : {}) };
  const found = list(await cli.api.get("/images/json", { query }));
  const rows = found.flatMap((image) => rowsOf(image, flags.bool("digests")));
  printListing(cli, imageListing(cli, flags.bool("no-trunc"), flags.bool("digests")), rows, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

interface ImageRow {
  readonly image: Json;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** A row a tag; an image without any is shown as "<none>". */
function rowsOf(image: Json, withDigests: boolean): readonly ImageRow[] {
  const digests = strings(image, "RepoDigests").map((one) => one.split("@"));
  const digestOf = (repository: string) =>
    digests.find(([name]) => name === repository)?.[1] ?? "<none>";
  const tagged = strings(image, "RepoTags").map((name): ImageRow => {
    const colon = name.lastIndexOf(":");
    const repository = name.slice(0, colon);
    return { image, repository, tag: name.slice(colon + 1), digest: digestOf(repository) };
  });
  if (tagged.length > 0) return tagged;
  const [repository = "<none>", digest = "<none>"] = digests[0] ?? [];
  return [{ image, repository, tag: "<none>", digest: withDigests ? digest : "<none>" }];
}

function imageListing(cli: Cli, noTruncate: boolean, withDigests: boolean): Listing<ImageRow> {
  const digest = withDigests ? "{{.Digest}}\t" : "";
  return {
    typeName: "*formatter.imageContext",
    table: `{{.Repository}}\t{{.Tag}}\t${digest}{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`,
    quiet: "{{.ID}}",
    headers: {
      ID: "IMAGE ID",
      Repository: "REPOSITORY",
      Tag: "TAG",
      Digest: "DIGEST",
      CreatedSince: "CREATED",
      CreatedAt: "CREATED AT",
      Size: "SIZE",
    },
    fields: ({ image, repository, tag, digest: its }) => ({
      ID: () => (noTruncate ? text(image, "Id") : shortId(text(image, "Id"))),
      Repository: () => repository,
      Tag: () => tag,
      Digest: () => its,
      CreatedSince: () => {
        const created = number(image, "Created");
        return created <= 0 ? "N/A" : `${humanDuration(cli.nowMs() - created * 1000)} ago`;
      },
      CreatedAt: () => show(new GoTime(new Date(number(image, "Created") * 1000).toISOString())),
      Size: () => threeDigits(number(image, "Size")),
    }),
  };
}

/** units.HumanSizeWithPrecision(3). */
function threeDigits(bytes: number): string {
  return size(Number(bytes.toPrecision(3)));
}

export const rm: Handler = async (cli, { args, flags }) => {
  const query = {
    ...(flags.bool("force") ? { force: 1 } : {}),
    ...(flags.bool("no-prune") ? { noprune: 1 } : {}),
  };
  await forEach(cli, args, async (ref) => {
    const removed = list(await cli.api.delete(imagePath(ref), { query }));
    return removed
      .map((one) =>
        text(one, "Deleted") === ""
          ? `Untagged: ${text(one, "Untagged")}`
          : `Deleted: ${text(one, "Deleted")}`,
      )
      .join("\n");
  });
  return 0;
};

export const tag: Handler = async (cli, { args }) => {
  const [source = "", target = ""] = args;
  const { name, tag: word } = nameAndTag(target, false);
  await cli.api.post(imagePath(source, "/tag"), { query: { repo: name, tag: word } });
  return 0;
};

export const save: Handler = async (cli, { args, flags }) => {
  const path = flags.text("output");
  if (path === "" && cli.out.isTerminal) {
    throw new Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect");
  }
  const names = args.map((name) => `names=${encodeURIComponent(name)}`).join("&");
  const stream = await cli.api.stream("GET", `/images/get?${names}`);
  if (path === "") for await (const chunk of stream) cli.out.write(chunk);
  else await intoFile(path, (file) => pipeline(stream, file));
  return 0;
};

async function intoFile(
  path: string,
  write: (file: ReturnType<typeof createWriteStream>) => Promise<void>,
): Promise<void> {
  try {
    await write(createWriteStream(path));
  } catch (error) {
    throw new Failure(`failed to save image: ${messageOf(error)}`);
  }
}

export const load: Handler = async (cli, { flags }) => {
  const path = flags.text("input");
  if (path === "" && cli.input.isTerminal) {
    throw new Failure("requested load from stdin, but stdin is empty");
  }
  const content = path === "" ? cli.input.stream : createReadStream(path);
  const quiet = flags.bool("quiet");
  const stream = await cli.api.stream("POST", "/images/load", {
    query: { quiet: quiet ? 1 : 0 },
    content,
  });
  await showProgress(cli, stream, cli.out, false);
  return 0;
};

export const importTar: Handler = async (cli, { args, flags }) => {
  const [source = "-", reference = ""] = args;
  if (/^https?:/.test(source))
    throw new Failure("importing from a URL is not supported: fetch it, and import the file");
  const { name, tag: word } =
    reference === "" ? { name: "", tag: "" } : nameAndTag(reference, false);
  const changes = flags.list("change").map((one) => `&changes=${encodeURIComponent(one)}`);
  const stream = await cli.api.stream("POST", `/images/create?fromSrc=-${changes.join("")}`, {
    query: {
      ...(name === "" ? {} : { repo: name, tag: word }),
      ...(flags.has("message") ? { message: flags.text("message") } : {}),
      ...(flags.has("platform") ? { platform: flags.text("platform") } : {}),
    },
    content: source === "-" ? cli.input.stream : createReadStream(source),
  });
  await showProgress(cli, stream, cli.out, false);
  return 0;
};

export const history: Handler = async (cli, { args, flags }) => {
  const rows = list(await cli.api.get(imagePath(args[0] ?? "", "/history")));
  printListing(cli, historyListing(cli, flags.bool("no-trunc"), flags.bool("human")), rows, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

const CREATED_BY_COLUMNS = 45;

function historyListing(cli: Cli, noTruncate: boolean, human: boolean): Listing<Json> {
  return {
    typeName: "*image.historyContext",
    table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "IMAGE",
      CreatedSince: "CREATED",
      CreatedAt: "CREATED AT",
      CreatedBy: "CREATED BY",
      Size: "SIZE",
      Comment: "COMMENT",
    },
    fields: (row) => ({
      ID: () => {
        const id = text(row, "Id");
        return noTruncate || id === "<missing>" ? id : shortId(id);
      },
      CreatedAt: () => new Date(number(row, "Created") * 1000).toISOString().replace(".000", ""),
      CreatedSince: () => `${humanDuration(cli.nowMs() - number(row, "Created") * 1000)} ago`,
      CreatedBy: () => {
        const by = text(row, "CreatedBy").replaceAll("\t", " ");
        return noTruncate ? by : ellipsis(by, CREATED_BY_COLUMNS);
      },
      Size: () => (human ? threeDigits(number(row, "Size")) : String(number(row, "Size"))),
      Comment: () => text(row, "Comment"),
    }),
  };
}

export const inspect: Handler = async (cli, { args, flags }) => {
  const look = (ref: string) => cli.api.getWithText(imagePath(ref, "/json"));
  await printInspected(cli, args, look, { format: flags.text("format"), times: [] });
  return 0;
};

export const prune: Handler = async (cli, { flags }) => {
  const all = flags.bool("all");
  const what = all
    ? "WARNING! This will remove all images without at least one container associated to them."
    : "WARNING! This will remove all dangling images.";
  const question = `${what}\nAre you sure you want to continue?`;
  if (!flags.bool("force") && !(await confirm(cli, question))) return 0;
  const filters = { ...flags.filters(), dangling: { [String(!all)]: true } };
  const answer = await cli.api.post("/images/prune", { query: filterQuery(filters) });
  const removed = items(answer, "ImagesDeleted");
  if (removed.length > 0) {
    const lines = removed.map((one) =>
      text(one, "Untagged") === ""
        ? `deleted: ${text(one, "Deleted")}`
        : `untagged: ${text(one, "Untagged")}`,
    );
    cli.out.write(`Deleted Images:\n${lines.join("\n")}\n\n`);
  }
  cli.out.write(`Total reclaimed space: ${size(number(answer, "SpaceReclaimed"))}\n`);
  return 0;
};
