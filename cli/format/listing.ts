// Prints a list: as a table, as JSON, or by the person's own template. After docker/cli
// command/formatter.

import { execute } from "../../common/template/evaluate.js";
import { parse } from "../../common/template/parse.js";
import type { Template } from "../../common/template/tree.js";
import { Fields, type GoValue, TemplateError } from "../../common/template/value.js";
import type { Cli } from "../cli.js";
import { Failure } from "../cli.js";
import { align, LIST_SHAPE } from "./table.js";

export interface Listing<Row> {
  /** What Go calls a row; error messages show it. */
  readonly typeName: string;
  /** The default table, without the word "table". */
  readonly table: string;
  readonly quiet: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fields: (row: Row) => Readonly<Record<string, () => GoValue>>;
}

export interface ListingChoice {
  readonly format: string;
  readonly quiet: boolean;
}

export function printListing<Row>(
  cli: Cli,
  listing: Listing<Row>,
  rows: readonly Row[],
  choice: ListingChoice,
): void {
  cli.out.write(renderListing(listing, rows, choice));
}

export function renderListing<Row>(
  listing: Listing<Row>,
  rows: readonly Row[],
  choice: ListingChoice,
): string {
  const { format, isTable } = chooseFormat(listing, choice);
  const template = parseFormat(format);
  const lines = rows.map((row) => runFormat(template, fieldsOf(listing, row)));
  if (!isTable) return lines.map((line) => `${line}\n`).join("");
  const header = execute(template, listing.headers, "header");
  return align([header, ...lines].map((line) => `${line}\n`).join(""), LIST_SHAPE);
}

function fieldsOf<Row>(listing: Listing<Row>, row: Row): Fields {
  return new Fields(listing.typeName, new Map(Object.entries(listing.fields(row))));
}

function chooseFormat<Row>(
  listing: Listing<Row>,
  { format, quiet }: ListingChoice,
): { format: string; isTable: boolean } {
  const words = realWhitespace(format.trim());
  if (words === "" || words === "table") {
    if (quiet) return { format: listing.quiet, isTable: false };
    return { format: listing.table, isTable: true };
  }
  if (words === "json") return { format: "{{json .}}", isTable: false };
  if (words.startsWith("table"))
    return { format: words.slice("table".length).trim(), isTable: true };
  return { format: words, isTable: false };
}

/**
 * A shell passes `\t` and `\n` as two characters; people mean one. Inside of an action they stand in a
 * string, which has escapes of its own.
 */
function realWhitespace(text: string): string {
  return text
    .split(/(\{\{[\s\S]*?\}\})/)
    .map((part, i) => (i % 2 === 1 ? part : part.replaceAll("\\t", "\t").replaceAll("\\n", "\n")))
    .join("");
}

export function parseFormat(format: string, badFormatExit = 1): Template {
  try {
    return parse(format);
  } catch (error) {
    throw asFailure(error, badFormatExit);
  }
}

/** The same for a command that shows one object: `\t` is two characters, and a mistake is exit 64 (EX_USAGE, sysexits.h). */
export function parseObjectFormat(format: string): Template {
  return parseFormat(format, 64);
}

export function runFormat(template: Template, data: GoValue): string {
  try {
    return execute(template, data);
  } catch (error) {
    throw asFailure(error, 1);
  }
}

function asFailure(error: unknown, exitCode: number): unknown {
  if (!(error instanceof TemplateError)) return error;
  return new Failure(`template parsing error: ${error.message}`, exitCode);
}
