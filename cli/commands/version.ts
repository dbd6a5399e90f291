// skein version.

import { type GoMap, show, sortedKeys, toJson } from "../../common/template/value.js";
import { API_VERSION, SKEIN_VERSION } from "../../common/version.js";
import type { Cli } from "../cli.js";
import { Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { parseObjectFormat, runFormat } from "../format/listing.js";
import { align, VERSION_SHAPE } from "../format/table.js";
import { at, items, type Json, object, text } from "../json.js";

export const version: Handler = async (cli, { flags }) => {
  const { server, failure } = await askServer(cli);
  const client: GoMap = {
    Version: SKEIN_VERSION,
    ApiVersion: API_VERSION,
    NodeVersion: process.version,
    Os: "linux",
    Arch: goArchitecture(),
  };
  const format = flags.text("format");
  if (format !== "") {
    const data = { Client: client, Server: server ?? null };
    const shown = format === "json" ? toJson(data) : runFormat(parseObjectFormat(format), data);
    cli.out.write(`${shown}\n`);
  } else {
    cli.out.write(
      align(clientPart(client) + (server === undefined ? "" : serverPart(server)), VERSION_SHAPE),
    );
  }
  if (failure !== undefined) throw failure;
  return 0;
};

/** Without an agent the client still has a version to show. */
async function askServer(cli: Cli): Promise<{ server?: Json; failure?: Failure }> {
  try {
    return { server: await cli.api.get("/version") };
  } catch (error) {
    if (error instanceof Failure) return { failure: error };
    throw error;
  }
}

function goArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

function clientPart(client: GoMap): string {
  return lines([
    ["Client:"],
    [" Version:", text(client, "Version")],
    [" API version:", text(client, "ApiVersion")],
    [" Node version:", text(client, "NodeVersion")],
    [" OS/Arch:", `${text(client, "Os")}/${text(client, "Arch")}`],
  ]);
}

function serverPart(server: Json): string {
  const platform = text(server, "Platform", "Name");
  const rows: string[][] = [[], [platform === "" ? "Server:" : `Server: ${platform}`]];
  for (const component of items(server, "Components")) {
    const name = text(component, "Name");
    const details = object(at(component, "Details"));
    rows.push([` ${name}:`], ["  Version:", text(component, "Version")]);
    rows.push(...(name === "Engine" ? engineRows(details) : otherRows(details)));
  }
  return lines(rows);
}

/** Engine's details have names of their own and come in a fixed order. */
function engineRows(details: GoMap): string[][] {
  const minimum = text(details, "MinAPIVersion");
  const api = minimum === "" ? "" : ` (minimum version ${minimum})`;
  const rows = [
    ["  API version:", `${text(details, "ApiVersion")}${api}`],
    ...runtimeRows(text(details, "GoVersion")),
    ["  Git commit:", text(details, "GitCommit")],
    ["  Built:", builtTime(text(details, "BuildTime"))],
    ["  OS/Arch:", `${text(details, "Os")}/${text(details, "Arch")}`],
    ["  Experimental:", text(details, "Experimental")],
  ];
  // What an agent does not know (a commit, a build time) is not shown as an empty line.
  return rows.filter(([, value]) => value !== "");
}

/** The API has a field for Go's version only; an agent writes there what runs it instead. */
function runtimeRows(goVersion: string): string[][] {
  const node = /Node\.js (v[\d.]+)/.exec(goVersion)?.[1];
  return [node === undefined ? ["  Go version:", goVersion] : ["  Node version:", node]];
}

function otherRows(details: GoMap): string[][] {
  return sortedKeys(details).map((key) => [`  ${key}:`, show(details[key])]);
}

/** "Thu May  7 21:09:36 2026": Go's ANSIC layout. */
function builtTime(iso: string): string {
  const date = new Date(iso);
  if (iso === "" || Number.isNaN(date.getTime())) return iso;
  // toUTCString: "Thu, 07 May 2026 21:09:36 GMT".
  const [weekday, , month, year, clock] = date.toUTCString().replace(",", "").split(" ");
  return `${weekday} ${month} ${String(date.getUTCDate()).padStart(2)} ${clock} ${year}`;
}

function lines(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.join("\t")}\n`).join("");
}
