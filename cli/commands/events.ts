// skein events.

import { show } from "../../common/template/value.js";
import type { Handler } from "../command.js";
import { parseFormat, runFormat } from "../format/listing.js";
import { at, type Json, number, object, text } from "../json.js";
import { jsonLines } from "../stream/lines.js";
import { interruptible } from "../term/interrupt.js";
import { filterQuery } from "./network.js";
import { apiTimestamp, eventTime } from "./times.js";

export const events: Handler = async (cli, { flags }) => {
  const format = flags.text("format");
  const template = format === "" || format === "json" ? undefined : parseFormat(format);
  const when = (name: string) =>
    flags.has(name) ? { [name]: apiTimestamp(flags.text(name), cli.nowMs()) } : {};
  const query = { ...filterQuery(flags.filters()), ...when("since"), ...when("until") };
  return interruptible(cli, async (signal) => {
    const stream = await cli.api.stream("GET", "/events", { query, signal });
    for await (const { json, text: line } of jsonLines(stream)) {
      if (template !== undefined) cli.out.write(`${runFormat(template, json)}\n`);
      else cli.out.write(format === "json" ? `${line}\n` : eventLine(json, line));
    }
    return 0;
  });
};

function eventLine(event: Json, line: string): string {
  const attributes = Object.entries(object(at(event, "Actor", "Attributes")))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${show(value)}`);
  const details = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  const words = [text(event, "Type"), text(event, "Action"), text(event, "Actor", "ID")];
  return `${eventTime(timeOf(event, line))} ${words.join(" ")}${details}\n`;
}

/** Nanoseconds since 1970 do not fit a JavaScript number: their digits are taken from the text. */
function timeOf(event: Json, line: string): bigint {
  const digits = /"timeNano":\s*(\d+)/.exec(line)?.[1];
  if (digits !== undefined) return BigInt(digits);
  return BigInt(number(event, "time")) * 1_000_000_000n;
}
