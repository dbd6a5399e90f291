// `--label` and `--label-file`.
import { readFile } from "node:fs/promises";
import { messageOf } from "../../common/fault.js";
import { toMap, type Values } from "../args/values.js";
import { Failure } from "../cli.js";

export async function labels(flags: Values): Promise<Record<string, string>> {
  const lines: string[] = [];
  for (const path of flags.list("label-file")) {
    try {
      lines.push(...(await readFile(path, "utf8")).split("\n"));
    } catch (error) {
      throw new Failure(`open ${path}: ${messageOf(error)}`);
    }
  }
  const meant = lines.map((line) => line.trim()).filter((line) => line !== "" && line[0] !== "#");
  return { ...toMap(meant), ...flags.map("label") };
}
