// `--env` and `--env-file`: a name alone takes its value from this environment.
import { readFile } from "node:fs/promises";
import { messageOf } from "../../common/fault.js";
import { type Cli, Failure } from "../cli.js";
import type { Values } from "./values.js";

export async function environment(cli: Cli, flags: Values): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const file of flags.list("env-file")) lines.push(...(await fileLines(file)));
  return environmentLines(cli, [...lines, ...flags.list("env")]);
}

export function environmentLines(cli: Cli, lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => {
    if (line.includes("=")) return [line];
    const value = cli.env[line];
    return value === undefined ? [] : [`${line}=${value}`];
  });
}

async function fileLines(path: string): Promise<readonly string[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Failure(`open ${path}: ${messageOf(error)}`);
  }
  return text
    .split("\n")
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
