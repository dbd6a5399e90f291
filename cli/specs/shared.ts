// Flags that many commands have, in Docker's words.
import type { Flag } from "../command.js";

const FORMATTING =
  "'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\n" +
  "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

export const listFormat: Flag = {
  name: "format",
  type: "string",
  words: ["json", "table"],
  about:
    "Format output using a custom template:\n" +
    "'table':            Print output in table format with column headers (default)\n" +
    "'table TEMPLATE':   Print output in table format using the given Go template\n" +
    FORMATTING,
};

export const objectFormat: Flag = {
  name: "format",
  short: "f",
  type: "string",
  words: ["json"],
  about: `Format output using a custom template:\n${FORMATTING}`,
};

export const filter: Flag = {
  name: "filter",
  short: "f",
  type: "filter",
  about: "Filter output based on conditions provided",
};

export function bool(name: string, about: string, short?: string): Flag {
  return { name, type: "bool", about, ...(short === undefined ? {} : { short }) };
}

export const detachKeys: Flag = {
  name: "detach-keys",
  type: "string",
  about: "Override the key sequence for detaching a container",
};
