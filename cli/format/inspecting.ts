// Prints what `inspect` found: all of it as JSON, or each by a template. After docker/cli
// command/inspect: what was found is printed even when something else was missing.

import { type GoMap, GoTime, type GoValue, toJson } from "../../common/template/value.js";
import type { Cli } from "../cli.js";
import { Failure } from "../cli.js";
import { type Json, object } from "../json.js";
import { indentJson } from "./indent.js";
import { parseObjectFormat, runFormat } from "./listing.js";

export interface Found {
  readonly json: Json;
  readonly text: string;
}

export interface InspectOptions {
  readonly format: string;
  /** Fields that are times in Docker's types: a template shows them as Go shows a time. */
  readonly times: readonly string[];
}

export async function printInspected(
  cli: Cli,
  refs: readonly string[],
  look: (ref: string) => Promise<Found>,
  { format, times }: InspectOptions,
): Promise<void> {
  const template = format === "" || format === "json" ? undefined : parseObjectFormat(format);
  const found: Found[] = [];
  const problems: string[] = [];
  for (const ref of refs) {
    try {
      found.push(await look(ref));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      problems.push(error.message);
    }
  }
  if (template !== undefined) {
    writeShown(cli, found, (one) => runFormat(template, withTimes(one.json, times)));
  } else if (format === "json") {
    cli.out.write(`[${found.map((one) => toJson(one.json)).join(",")}]\n`);
  } else {
    cli.out.write(`${indentJson(`[${found.map((one) => one.text).join(",")}]`)}\n`);
  }
  if (problems.length > 0) throw new Failure(problems.join("\n"));
}

/** A line each; one empty line when there is nothing, as docker has it. */
function writeShown(cli: Cli, found: readonly Found[], show: (one: Found) => string): void {
  let text = "";
  try {
    for (const one of found) text += `${show(one)}\n`;
  } finally {
    cli.out.write(text === "" ? "\n" : text);
  }
}

function withTimes(json: Json, times: readonly string[]): GoValue {
  const out: Record<string, GoValue> = { ...object(json) };
  for (const name of times) {
    const value = out[name];
    if (typeof value === "string") out[name] = new GoTime(value);
  }
  const map: GoMap = out;
  return map;
}
