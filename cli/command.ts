// What a command is: its words and flags (data, cheap to load, read by the parser, the help and the
// completion alike), and a handler that is loaded only when the command runs.
import type { Values } from "./args/values.js";
import type { Cli } from "./cli.js";

/** Names as pflag shows them in help: they are part of Docker's words. */
export type FlagType =
  | "bool"
  | "string"
  | "int"
  | "uint"
  | "uint32"
  | "duration"
  | "filter"
  | "list"
  | "strings"
  | "map"
  | "network"
  | "ipNetSlice"
  | "node-addr"
  | "external-ca"
  | "pem-file"
  | "bytes"
  | "command"
  | "config"
  | "credential-spec"
  | "decimal"
  | "float"
  | "mount"
  | "policy-port"
  | "port"
  | "pref"
  | "secret"
  | "ulimit";

export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly type: FlagType;
  readonly about: string;
  /** Shown as "(default …)" and taken when the flag is not given. */
  readonly fallback?: string;
  /** Words that completion offers after the flag. */
  readonly words?: readonly string[] | Dynamic;
}

export function flag(
  name: string,
  type: FlagType,
  about: string,
  more: Pick<Flag, "short" | "fallback" | "words"> = {},
): Flag {
  return { name, type, about, ...more };
}

/** What completion asks the agent for. */
export type Dynamic =
  | "containers"
  | "running"
  | "networks"
  | "nodes"
  | "attachments"
  | "services"
  | "policies"
  | "secrets"
  | "configs"
  | "images"
  | "volumes";

export interface ArgumentCount {
  readonly min: number;
  readonly max: number;
}

/** The exit code; nothing means 0. */
export type Handler = (cli: Cli, call: Call) => Promise<number | undefined>;

export interface Call {
  readonly command: Command;
  readonly args: readonly string[];
  readonly flags: Values;
  /** Whether "--" ended the flags. */
  readonly dashed: boolean;
}

export interface Command {
  /** "network ls" */
  readonly path: string;
  /** What follows the path in the usage line: "[OPTIONS] NETWORK". */
  readonly usage: string;
  readonly about: string;
  /** Longer help, shown in place of `about` on the command's own page. */
  readonly explain?: string;
  /** All spellings, complete: "network ls", "network list". Empty: only `path`. */
  readonly aliases?: readonly string[];
  readonly args: ArgumentCount;
  readonly flags: readonly Flag[];
  /** False: the first argument ends the flags (the rest is somebody else's command line). */
  readonly interspersed?: boolean;
  readonly words?: Dynamic | readonly string[];
  /** An example for docs/cli.md. */
  readonly example: string;
  readonly load: () => Promise<Handler>;
}

export interface Group {
  readonly path: string;
  readonly about: string;
  readonly commands: readonly Command[];
}

/** The argument counts that Docker's CLI knows. */
export const none: ArgumentCount = { min: 0, max: 0 };
export const any: ArgumentCount = { min: 0, max: Number.POSITIVE_INFINITY };
export function exactly(count: number): ArgumentCount {
  return { min: count, max: count };
}
export function atLeast(count: number): ArgumentCount {
  return { min: count, max: Number.POSITIVE_INFINITY };
}

/** The last word of the path: what the command is called inside its group. */
export function lastWord(path: string): string {
  return path.slice(path.lastIndexOf(" ") + 1);
}

/** Other last words that mean the command inside `group` ("" for the top level). */
export function otherNames(command: Command, group: string): string[] {
  const prefix = group === "" ? "" : `${group} `;
  return (command.aliases ?? [])
    .filter((alias) => alias.startsWith(prefix) && !alias.slice(prefix.length).includes(" "))
    .map((alias) => alias.slice(prefix.length))
    .filter((name) => name !== lastWord(command.path));
}
