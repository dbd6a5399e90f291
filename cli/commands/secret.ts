// skein secret … and skein config …: the same commands for what is hidden and for what is not.
import { readFile } from "node:fs/promises";
import { GoTime, show } from "../../common/template/value.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { fileWords } from "../file-words.js";
import { printInspected } from "../format/inspecting.js";
import { type Listing, printListing } from "../format/listing.js";
import { humanDuration, naturally } from "../format/units.js";
import { segment } from "../http/api.js";
import { at, type Json, list, object, text } from "../json.js";
import { forEach } from "./each.js";
import { filterQuery } from "./network.js";
import { labelText } from "./network-listing.js";

type Kind = "secret" | "config";

interface Handlers {
  readonly create: Handler;
  readonly inspect: Handler;
  readonly ls: Handler;
  readonly rm: Handler;
}

export const secret = handlers("secret");
export const config = handlers("config");

function handlers(kind: Kind): Handlers {
  return {
    create: async (cli, { args, flags }) => {
      const [name = "", file = "-"] = args;
      if (flags.has("driver")) {
        throw new Failure("secret drivers are plugins, and Skein has none; leave out --driver");
      }
      const data = await dataOf(cli, file);
      const templating = flags.text("template-driver");
      const answer = await cli.api.post(`/${kind}s/create`, {
        body: {
          Name: name,
          Labels: flags.map("label"),
          Data: data.toString("base64"),
          ...(templating === "" ? {} : { Templating: { Name: templating } }),
        },
      });
      cli.out.write(`${text(answer, "ID")}\n`);
      return 0;
    },
    inspect: async (cli, { args, flags }) => {
      const look = (ref: string) => cli.api.getWithText(`/${kind}s/${segment(kind, ref)}`);
      const format = flags.text("format");
      if (!flags.bool("pretty")) {
        await printInspected(cli, args, look, { format, times: ["CreatedAt", "UpdatedAt"] });
        return 0;
      }
      if (format !== "") throw new Failure("--format is incompatible with human friendly format");
      const pages: string[] = [];
      for (const ref of args) pages.push(pretty(kind, (await look(ref)).json));
      cli.out.write(pages.join(""));
      return 0;
    },
    ls: async (cli, { flags }) => {
      const found = list(await cli.api.get(`/${kind}s`, { query: filterQuery(flags.filters()) }));
      const rows = [...found].sort((a, b) =>
        naturally(text(a, "Spec", "Name"), text(b, "Spec", "Name")),
      );
      printListing(cli, listing(cli, kind), rows, {
        format: flags.text("format"),
        quiet: flags.bool("quiet"),
      });
      return 0;
    },
    rm: async (cli, { args }) => {
      await forEach(cli, args, async (ref) => {
        await cli.api.delete(`/${kind}s/${segment(kind, ref)}`);
        return ref;
      });
      return 0;
    },
  };
}

// Larger than what the swarm takes of either (proto/service.proto), so that the manager says the limit.
const DATA_BYTES_MAX = 2 * 1024 * 1024;

async function dataOf(cli: Cli, file: string): Promise<Buffer> {
  const data = file === "-" ? await fromInput(cli) : await fromFile(file);
  const where = file === "-" ? "STDIN" : file;
  if (data.length === 0) throw new Failure(`error reading from ${where}: data is empty`);
  if (data.length > DATA_BYTES_MAX) {
    throw new Failure(`error reading from ${where}: it is longer than ${DATA_BYTES_MAX} bytes`);
  }
  return data;
}

async function fromInput(cli: Cli): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of cli.input.stream) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    chunks.push(bytes);
    if (length > DATA_BYTES_MAX) break;
  }
  return Buffer.concat(chunks);
}

async function fromFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Failure(`error reading from ${path}: ${fileWords(error)}`);
  }
}

function listing(cli: Cli, kind: Kind): Listing<Json> {
  const ago = (row: Json, key: string) =>
    `${humanDuration(cli.nowMs() - Date.parse(text(row, key)))} ago`;
  const driver = kind === "secret" ? "{{.Driver}}\t" : "";
  return {
    typeName: `*${kind}.${kind}Context`,
    table: `{{.ID}}\t{{.Name}}\t${driver}{{.CreatedAt}}\t{{.UpdatedAt}}`,
    quiet: "{{.ID}}",
    headers: {
      ID: "ID",
      Name: "NAME",
      Driver: "DRIVER",
      CreatedAt: "CREATED",
      UpdatedAt: "UPDATED",
      Labels: "LABELS",
      Label: "",
    },
    fields: (row) => ({
      ID: () => text(row, "ID"),
      Name: () => text(row, "Spec", "Name"),
      Driver: () => text(row, "Spec", "Driver", "Name"),
      CreatedAt: () => ago(row, "CreatedAt"),
      UpdatedAt: () => ago(row, "UpdatedAt"),
      Labels: () => labelText(at(row, "Spec")),
    }),
  };
}

function pretty(kind: Kind, one: Json): string {
  const when = (key: string) => show(new GoTime(text(one, key))).toLowerCase();
  const labels = Object.entries(object(at(one, "Spec", "Labels")))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ` - ${key}${value === "" ? "" : `=${show(value)}`}`);
  const labelRows = labels.length === 0 ? [] : ["Labels:", ...labels];
  const id = text(one, "ID");
  const name = text(one, "Spec", "Name");
  const rows =
    kind === "secret"
      ? [
          `ID:              ${id}`,
          `Name:              ${name}`,
          ...labelRows,
          `Driver:            ${text(one, "Spec", "Driver", "Name")}`,
          `Created at:        ${when("CreatedAt")}`,
          `Updated at:        ${when("UpdatedAt")}`,
        ]
      : [
          `ID:\t\t\t${id}`,
          `Name:\t\t\t${name}`,
          ...labelRows,
          `Created at:            \t${when("CreatedAt")}`,
          `Updated at:            \t${when("UpdatedAt")}`,
          "Data:",
          Buffer.from(text(one, "Spec", "Data"), "base64").toString("utf8"),
        ];
  return `${rows.join("\n")}\n`;
}
