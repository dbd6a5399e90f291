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

/** Of what is left unused. */
export const pruneFilter: Flag = {
  name: "filter",
  type: "filter",
  about: 'Provide filter values (e.g. "until=<timestamp>")',
};

/** What the tables of tasks have. */
const taskFormat: Flag = {
  name: "format",
  type: "string",
  about: "Pretty-print tasks using a Go template",
};

export function bool(name: string, about: string, short?: string): Flag {
  return { name, type: "bool", about, ...(short === undefined ? {} : { short }) };
}

/** Of the tables of tasks. */
export const taskTable: readonly Flag[] = [
  filter,
  taskFormat,
  bool("no-resolve", "Do not map IDs to Names"),
  bool("no-trunc", "Do not truncate output"),
  bool("quiet", "Only display task IDs", "q"),
];

/** Which lines of logs, and how. */
export const fromLogs: readonly Flag[] = [
  {
    name: "since",
    type: "string",
    about:
      'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
  },
  {
    name: "tail",
    short: "n",
    type: "string",
    fallback: "all",
    about: "Number of lines to show from the end of the logs",
  },
  bool("timestamps", "Show timestamps", "t"),
];

export const detachKeys: Flag = {
  name: "detach-keys",
  type: "string",
  about: "Override the key sequence for detaching a container",
};
