// Draws the progress of a pull, push or load as docker's client does: a line for each layer, drawn again in
// place on a terminal; elsewhere only the lines that say something new.
import type { Readable } from "node:stream";
import { type Cli, Failure, type Output } from "../cli.js";
import { type at, number, text } from "../json.js";
import { jsonLines } from "../stream/lines.js";
import { LiveArea } from "../term/live.js";

export async function showProgress(
  cli: Cli,
  stream: Readable,
  out: Output,
  quiet: boolean,
): Promise<void> {
  const layers = new Map<string, string>();
  const live = out.isTerminal && !quiet ? new LiveArea(out) : undefined;
  const say = (line: string) => {
    if (quiet) return;
    if (live && layers.size > 0) live.finish([...layers.values()]);
    layers.clear();
    out.write(line);
  };
  for await (const { json } of jsonLines(stream)) {
    const error = text(json, "errorDetail", "message") || text(json, "error");
    if (error !== "") {
      if (live && layers.size > 0) live.finish([...layers.values()]);
      throw new Failure(error);
    }
    const id = text(json, "id");
    const status = text(json, "status");
    const plain = text(json, "stream");
    if (plain !== "") say(plain);
    else if (id === "" || status.startsWith("Pulling from")) {
      if (status !== "") say(`${id === "" ? "" : `${id}: `}${status}\n`);
    } else if (live) {
      layers.set(id, `${id}: ${status} ${bar(json)}`.trimEnd());
      live.show([...layers.values()]);
    } else if (
      !quiet &&
      layers.get(id) !== status &&
      number(json, "progressDetail", "total") === 0
    ) {
      layers.set(id, status);
      out.write(`${id}: ${status}\n`);
    }
  }
  if (live && layers.size > 0) live.finish([...layers.values()]);
  void cli;
}

const BAR_COLUMNS = 50;

function bar(json: Parameters<typeof at>[0]): string {
  const current = number(json, "progressDetail", "current");
  const total = number(json, "progressDetail", "total");
  if (current === 0 && total === 0) return "";
  if (total <= 0) return size(current);
  const done = Math.min(BAR_COLUMNS, Math.floor((current / total) * BAR_COLUMNS));
  const arrow = done < BAR_COLUMNS ? ">" : "";
  const empty = " ".repeat(Math.max(0, BAR_COLUMNS - done - arrow.length));
  return `[${"=".repeat(done)}${arrow}${empty}]  ${size(current)}/${size(total)}`;
}

/** go-units' HumanSize: powers of 1000, four digits. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}
