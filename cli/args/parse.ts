// Words of the command line → flags and arguments, with the grammar and the error words of
// spf13/pflag, which `docker` is built on: `-itd`, `-ename`, `-t=5`, `--flag=false`, `--`, and
// commands whose first argument ends the flags. (The usual npm parsers have neither this grammar for
// booleans nor a way to tell `-e` from `--env` in an error.)
import type { Flag } from "../command.js";
import { Values, whyNot } from "./values.js";

export type Parsed =
  | {
      readonly kind: "parsed";
      readonly flags: Values;
      readonly args: readonly string[];
      /** "--" stood before the arguments. */
      readonly dashed: boolean;
    }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly why: string };

export interface ParseOptions {
  readonly interspersed: boolean;
}

export function parseArgs(
  words: readonly string[],
  flags: readonly Flag[],
  options: ParseOptions,
): Parsed {
  const given = new Map<string, string[]>();
  const args: string[] = [];
  let next = 0;
  let dashed = false;

  /** Takes `value`, or the next word; returns what is wrong. */
  const set = (flag: Flag, value: string | undefined, spelling: string): string | undefined => {
    let text = value ?? (flag.type === "bool" ? "true" : undefined);
    if (text === undefined) {
      if (next >= words.length) return `flag needs an argument: ${spelling}`;
      text = words[next++] ?? "";
    }
    const why = whyNot(flag.type, text);
    if (why !== undefined) return `invalid argument "${text}" for "${fullName(flag)}" flag: ${why}`;
    given.set(flag.name, [...(given.get(flag.name) ?? []), text]);
    return undefined;
  };

  while (next < words.length) {
    const word = words[next++] ?? "";
    if (word === "--") {
      dashed = args.length === 0;
      args.push(...words.slice(next));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      args.push(word);
      if (options.interspersed) continue;
      args.push(...words.slice(next));
      break;
    }
    const result = word.startsWith("--") ? long(word, flags, set) : short(word, flags, set);
    if (result === "help") return { kind: "help" };
    if (result !== undefined) return { kind: "wrong", why: result };
  }
  return { kind: "parsed", flags: new Values(flags, given), args, dashed };
}

type Set = (flag: Flag, value: string | undefined, spelling: string) => string | undefined;

function long(word: string, flags: readonly Flag[], set: Set): string | undefined {
  const at = word.indexOf("=");
  const name = at < 0 ? word.slice(2) : word.slice(2, at);
  if (name === "" || name.startsWith("-")) return `bad flag syntax: ${word}`;
  const flag = flags.find((one) => one.name === name);
  if (flag === undefined) return name === "help" ? "help" : `unknown flag: --${name}`;
  return set(flag, at < 0 ? undefined : word.slice(at + 1), `--${name}`);
}

function short(word: string, flags: readonly Flag[], set: Set): string | undefined {
  let letters = word.slice(1);
  while (letters !== "") {
    const letter = letters[0] ?? "";
    const flag = flags.find((one) => one.short === letter);
    if (flag === undefined) {
      if (letter === "h") return "help";
      return `unknown shorthand flag: '${letter}' in -${letters}`;
    }
    const rest = letters.slice(1);
    const spelling = `'${letter}' in -${letters}`;
    if (rest.startsWith("=")) return set(flag, rest.slice(1), spelling);
    if (flag.type !== "bool") return set(flag, rest === "" ? undefined : rest, spelling);
    const why = set(flag, undefined, spelling);
    if (why !== undefined) return why;
    letters = rest;
  }
  return undefined;
}

function fullName(flag: Flag): string {
  return flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
}
