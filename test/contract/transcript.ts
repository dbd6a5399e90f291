// Reads a transcript (test/contract/transcripts/README.md) and makes two runs of one command comparable:
// what is another on every run (ids, tokens, times, keys) becomes a word.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ran } from "./api-lab.js";

export interface Transcript extends Ran {
  readonly name: string;
  readonly host: string;
  /** Words of the command, without "docker". */
  readonly args: readonly string[];
  readonly stdin: string;
}

const FOLDER = fileURLToPath(new URL("./transcripts/", import.meta.url));

export function readTranscript(name: string): Transcript {
  const text = readFileSync(`${FOLDER}${name}.txt`, "utf8");
  const match =
    /^# node: (\w+).*\n\$ docker (.*?)(?: {3}# stdin: (".*"))?\n--- stdout\n([\s\S]*?)--- stderr\n([\s\S]*?)--- exit (\d+)/m.exec(
      text,
    );
  if (!match) throw new Error(`${name} is no transcript`);
  const [, host = "", command = "", stdin = '""', stdout = "", stderr = "", exit = ""] = match;
  return {
    name,
    host,
    args: words(command),
    stdin: JSON.parse(stdin) as string,
    stdout,
    stderr,
    exitCode: Number(exit),
  };
}

/** A shell's words: blanks part them, quotes keep them together. */
function words(command: string): readonly string[] {
  return [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? "",
  );
}

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----(\\n)?/g, "<certificate>$1"],
  [/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/g, "<token>"],
  [/SWMKEY-1-[A-Za-z0-9+/]{43}/g, "<unlock key>"],
  [/(Public ?Key"?:)\s*"?[A-Za-z0-9+/=]{8,}"?/g, "$1 <key>"],
  [/("CertIssuerPublicKey":)"[^"]*"/g, "$1<key>"],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>"],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 utc/g, "<time>"],
  [/("Index":\s*)\d+/g, "$1<n>"],
  [/\b[0-9a-f]{64}\b/g, "<hex>"],
  // An object of the swarm, whole and as lists cut it.
  [/\b(?=[0-9a-z]*\d)[0-9a-z]{25}\b/g, "<id>"],
  [/^[0-9a-z]{12}(?= {3})/gm, "<short>     "],
  // The agent's own id.
  [/(00000000-0000-4000-8000-00192168133)(\d|<n>)/g, "$1<n>"],
];

export function normalised(text: string): string {
  const same = PATTERNS.reduce((now, [pattern, word]) => now.replace(pattern, word), text);
  // The client prints them in the order of a Go map: another one each time.
  return same.replace(/^( Runtimes: )(.*)$/gm, (_all, label: string, names: string) => {
    return `${label}${names.split(" ").sort().join(" ")}`;
  });
}
