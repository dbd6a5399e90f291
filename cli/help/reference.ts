// The table of commands in docs/cli.md, from the commands themselves.
import type { Command } from "../command.js";

export function referenceTable(commands: readonly Command[]): string {
  const rows = [...commands]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(
      (one) =>
        `| \`skein ${one.path}\` | ${one.about} | \`${one.example.replaceAll("|", "\\|")}\` |`,
    );
  return ["| command | does | for example |", "|---|---|---|", ...rows].join("\n");
}
