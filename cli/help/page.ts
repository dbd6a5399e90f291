// Help pages in the layout of Docker's.
import { type Command, type Flag, type Group, lastWord } from "../command.js";
import { flagTable } from "./flag-table.js";

export function usageLine(command: Command): string {
  return `Usage:  skein ${command.path}${command.usage === "" ? "" : ` ${command.usage}`}`;
}

export function commandPage(command: Command, columns: number): string {
  const parts = [usageLine(command), command.explain ?? command.about];
  if (command.aliases !== undefined) {
    parts.push(`Aliases:\n  ${command.aliases.map((alias) => `skein ${alias}`).join(", ")}`);
  }
  if (command.flags.length > 0) {
    parts.push(`Options:\n${flagTable(command.flags, columns).trimEnd()}`);
  }
  return `${parts.join("\n\n")}\n`;
}

export function groupPage(group: Group): string {
  return [
    `Usage:  skein ${group.path} COMMAND`,
    group.about,
    `Commands:\n${commandTable(group.commands)}`,
    `Run 'skein ${group.path} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
}

export interface Section {
  readonly title: string;
  readonly rows: readonly { readonly path: string; readonly about: string }[];
}

export function topPage(
  sections: readonly Section[],
  flags: readonly Flag[],
  columns: number,
): string {
  const widest = Math.max(...sections.flatMap((one) => one.rows.map((row) => row.path.length)));
  return [
    "Usage:  skein [OPTIONS] COMMAND",
    "Networks that span machines, for containers, processes, namespaces and the machines themselves",
    ...sections.map((section) => `${section.title}:\n${commandTable(section.rows, widest)}`),
    `Global Options:\n${flagTable(flags, columns).trimEnd()}`,
    "Run 'skein COMMAND --help' for more information on a command.\n",
  ].join("\n\n");
}

// cobra pads command names to at least this width.
const NAME_COLUMNS_MIN = 11;

function commandTable(
  rows: readonly { readonly path: string; readonly about: string }[],
  widest = 0,
): string {
  const names = rows.map((row) => lastWord(row.path).length);
  const width = Math.max(NAME_COLUMNS_MIN, widest, ...names);
  return [...rows].map((row) => `  ${lastWord(row.path).padEnd(width)} ${row.about}`).join("\n");
}
