// One command line from its words to its exit code.

import { SKEIN_VERSION } from "../common/version.js";
import { parseArgs } from "./args/parse.js";
import { type Cli, Failure } from "./cli.js";
import type { ArgumentCount, Command } from "./command.js";
import { commandPage, groupPage, topPage, usageLine } from "./help/page.js";
import { INTERRUPTED_EXIT } from "./term/interrupt.js";
import { find, globalFlags, sections } from "./tree.js";

/** docker exits 125 for a flag that it cannot read, and 1 for everything else that is wrong. */
const BAD_FLAG_EXIT = 125;

/** Makes the `Cli` once the socket is known. */
export type MakeCli = (host: string) => Cli;

export async function skein(words: readonly string[], makeCli: MakeCli): Promise<number> {
  const cli = makeCli("");
  try {
    return await dispatch(words, cli, makeCli);
  } catch (error) {
    if (error instanceof Failure) {
      if (error.message !== "") cli.err.write(`${error.message}\n`);
      return error.exitCode;
    }
    if (error instanceof Error && error.name === "AbortError") return INTERRUPTED_EXIT;
    throw error;
  }
}

async function dispatch(words: readonly string[], cli: Cli, makeCli: MakeCli): Promise<number> {
  const globals = parseArgs(words, globalFlags, { interspersed: false });
  if (globals.kind === "help") return printTop(cli);
  if (globals.kind === "wrong") {
    const usage = "Usage:  skein [OPTIONS] COMMAND [ARG...]";
    throw new Failure(`${globals.why}\n\n${usage}\n\n${runHelp("")}`, BAD_FLAG_EXIT);
  }
  if (globals.flags.bool("version")) {
    cli.out.write(`Skein version ${SKEIN_VERSION}\n`);
    return 0;
  }
  const host = globals.flags.has("host") ? globals.flags.text("host") : "";
  const args = globals.args;
  if (args[0] === "help") return dispatch([...args.slice(1), "--help"], cli, makeCli);
  if (args[0] === "__complete") {
    const { complete } = await import("./completion/complete.js");
    return complete(makeCli(host), args.slice(1));
  }
  const found = find(args);
  switch (found.kind) {
    case "top":
      return printTop(cli);
    case "group": {
      const parsed = parseArgs(found.rest, [], { interspersed: true });
      if (parsed.kind === "wrong") {
        const usage = `Usage:  skein ${found.group.path}`;
        throw new Failure(
          `${parsed.why}\n\n${usage}\n\n${runHelp(found.group.path)}`,
          BAD_FLAG_EXIT,
        );
      }
      cli.out.write(groupPage(found.group));
      return 0;
    }
    case "unknown":
      throw new Failure(unknownCommand(found.word, found.within));
    case "command":
      return runCommand(found.command, found.rest, cli, () => makeCli(host));
  }
}

async function runCommand(
  command: Command,
  words: readonly string[],
  helpTo: Cli,
  makeCli: () => Cli,
): Promise<number> {
  const interspersed = command.interspersed ?? true;
  const parsed = parseArgs(words, command.flags, { interspersed });
  if (parsed.kind === "help") {
    helpTo.out.write(commandPage(command, helpTo.out.columns));
    return 0;
  }
  if (parsed.kind === "wrong") {
    const page = `${usageLine(command)}\n\n${runHelp(command.path)}`;
    throw new Failure(`${parsed.why}\n\n${page}`, BAD_FLAG_EXIT);
  }
  const why = badCount(command.path, command.args, parsed.args.length);
  if (why !== undefined) {
    const more = command.args.max > command.args.min ? "See" : "Run";
    const hint = `${more} 'skein ${command.path} --help' for more information`;
    throw new Failure(`skein: ${why}\n\n${usageLine(command)}\n\n${hint}`);
  }
  const handler = await command.load();
  return (
    (await handler(makeCli(), {
      command,
      args: parsed.args,
      flags: parsed.flags,
      dashed: parsed.dashed,
    })) ?? 0
  );
}

function printTop(cli: Cli): number {
  cli.out.write(topPage(sections, globalFlags, cli.out.columns));
  return 0;
}

function runHelp(path: string): string {
  return `Run 'skein${path === "" ? "" : ` ${path}`} --help' for more information`;
}

function unknownCommand(word: string, within: string): string {
  const full = within === "" ? `skein ${word}` : `skein ${within} ${word}`;
  const usage = within === "" ? "" : `Usage:  skein ${within}\n\n`;
  return `skein: unknown command: ${full}\n\n${usage}${runHelp(within)}`;
}

/** docker/cli cli/required.go. */
function badCount(path: string, { min, max }: ArgumentCount, count: number): string | undefined {
  if (count >= min && count <= max) return undefined;
  if (max === 0) return `'skein ${path}' accepts no arguments`;
  const words = (n: number) => `${n} ${n === 1 ? "argument" : "arguments"}`;
  if (min === max) return `'skein ${path}' requires ${words(min)}`;
  if (count < min) return `'skein ${path}' requires at least ${words(min)}`;
  return `'skein ${path}' requires at most ${words(max)}`;
}
