// Candidates for the word being typed. A shell calls `skein __complete WORD…` with the words so far,
// the last of them (maybe empty) being typed; the answer is one candidate a line, with a tab and an
// explanation after it.
import type { Cli } from "../cli.js";
import { type Command, type Dynamic, type Flag, type Group, lastWord } from "../command.js";
import { items, type Json, list, text } from "../json.js";
import { find, globalFlags, groups, topCommands } from "../tree.js";

interface Candidate {
  readonly word: string;
  readonly about?: string;
}

// A shell waits for this at every tab: an agent that does not answer must not hang it.
const ASK_MS = 1500;

export async function complete(cli: Cli, words: readonly string[]): Promise<number> {
  const typed = words.at(-1) ?? "";
  const candidates = await candidatesFor(cli, words.slice(0, -1), typed);
  const lines = candidates
    .filter((one) => one.word.startsWith(typed))
    .map((one) => (one.about === undefined ? one.word : `${one.word}\t${one.about}`));
  if (lines.length > 0) cli.out.write(`${lines.join("\n")}\n`);
  return 0;
}

async function candidatesFor(
  cli: Cli,
  before: readonly string[],
  typed: string,
): Promise<readonly Candidate[]> {
  const words = withoutGlobals(before);
  const found = find(words);
  switch (found.kind) {
    case "top":
      return typed.startsWith("-") ? flagsOf(globalFlags) : topWords();
    case "group":
      return found.group.commands.map((one) => wordOf(one));
    case "command":
      return forCommand(cli, found.command, found.rest, typed);
    case "unknown":
      return [];
  }
}

async function forCommand(
  cli: Cli,
  command: Command,
  rest: readonly string[],
  typed: string,
): Promise<readonly Candidate[]> {
  const flag = flagAwaiting(command, rest.at(-1));
  if (flag !== undefined) return valuesOf(cli, flag);
  const [name = "", value] = typed.split("=", 2);
  if (value !== undefined && name.startsWith("--")) {
    const assigned = command.flags.find((one) => `--${one.name}` === name);
    const values = assigned === undefined ? [] : await valuesOf(cli, assigned);
    return values.map((one) => ({ ...one, word: `${name}=${one.word}` }));
  }
  if (typed.startsWith("-")) return flagsOf(command.flags);
  if (command.words === undefined) return [];
  return wordsOf(cli, command.words);
}

async function valuesOf(cli: Cli, flag: Flag): Promise<readonly Candidate[]> {
  return flag.words === undefined ? [] : wordsOf(cli, flag.words);
}

/** The flag whose value the next word is. */
function flagAwaiting(command: Command, last: string | undefined): Flag | undefined {
  if (last === undefined || !last.startsWith("-") || last.includes("=")) return undefined;
  const name = last.startsWith("--") ? last.slice(2) : undefined;
  const flag = command.flags.find((one) =>
    name === undefined ? one.short === last.at(-1) : one.name === name,
  );
  return flag === undefined || flag.type === "bool" ? undefined : flag;
}

function withoutGlobals(words: readonly string[]): readonly string[] {
  let i = 0;
  while (words[i]?.startsWith("-") === true) i += /^(-H|--host)$/.test(words[i] ?? "") ? 2 : 1;
  return words.slice(i);
}

function topWords(): Candidate[] {
  return [...topCommands.map((one) => wordOf(one)), ...groups.map((one) => wordOf(one))].sort(
    (a, b) => (a.word < b.word ? -1 : 1),
  );
}

function wordOf(one: Command | Group): Candidate {
  return { word: lastWord(one.path), about: one.about };
}

function flagsOf(flags: readonly Flag[]): Candidate[] {
  return [...flags, { name: "help", type: "bool", about: "Print usage" } as const].map((flag) => ({
    word: `--${flag.name}`,
    about: flag.about.split("\n")[0] ?? "",
  }));
}

async function wordsOf(
  cli: Cli,
  words: readonly string[] | Dynamic,
): Promise<readonly Candidate[]> {
  if (typeof words !== "string") return words.map((word) => ({ word }));
  try {
    return await ask(cli, words);
  } catch {
    // No agent, no swarm, not a manager: there is nothing to offer, and nobody to tell.
    return [];
  }
}

async function ask(cli: Cli, kind: Dynamic): Promise<readonly Candidate[]> {
  const get = async (path: string, query = {}) =>
    list(await cli.api.get(path, { query, signal: AbortSignal.timeout(ASK_MS) }));
  switch (kind) {
    case "networks":
      return (await get("/networks")).map((one) => named(text(one, "Name"), text(one, "Driver")));
    case "nodes": {
      const nodes = await get("/nodes");
      return [
        { word: "self", about: "this node" },
        ...nodes.map((one) => named(text(one, "Description", "Hostname"), text(one, "ID"))),
      ];
    }
    case "services":
      return (await get("/services")).map((one) =>
        named(text(one, "Spec", "Name"), text(one, "ID")),
      );
    case "policies":
      return (await get("/skein/v1/policies")).map((one) =>
        named(
          text(one, "ID"),
          `${text(one, "From")} → ${text(one, "To")} on ${text(one, "Network")}`,
        ),
      );
    case "secrets":
    case "configs":
      return (await get(`/${kind}`)).map((one) =>
        named(text(one, "Spec", "Name"), text(one, "ID")),
      );
    case "images":
      return (await get("/images/json")).flatMap((one) =>
        items(one, "RepoTags").map((tag) => named(String(tag), text(one, "Id").slice(7, 19))),
      );
    case "volumes":
      return items(await cli.api.get("/volumes"), "Volumes").map((one) =>
        named(text(one, "Name"), text(one, "Driver")),
      );
    case "containers":
      return (await get("/containers/json", { all: 1 })).map(container);
    case "running":
      return (await get("/containers/json")).map(container);
    case "attachments":
      return (await get("/skein/v1/attachments")).flatMap((one) => [
        named(text(one, "Name") || text(one, "ID"), text(one, "Network")),
        named(text(one, "Network"), "the only attachment on it"),
      ]);
  }
}

function container(one: Json): Candidate {
  const name = String(items(one, "Names")[0] ?? "").replace(/^\//, "");
  return named(name, text(one, "Status"));
}

function named(word: string, about: string): Candidate {
  return { word, about };
}
