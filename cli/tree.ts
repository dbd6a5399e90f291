// Every command, and how the words of a command line find theirs.
import { type Command, type Flag, type Group, lastWord, otherNames } from "./command.js";
import type { Section } from "./help/page.js";
import { container, containerCommands } from "./specs/container.js";
import { image, imageCommands } from "./specs/image.js";
import { network } from "./specs/network.js";
import { node } from "./specs/node.js";
import { policy } from "./specs/policy.js";
import { config, secret } from "./specs/secret.js";
import { service } from "./specs/service.js";
import { swarm } from "./specs/swarm.js";
import { networkingCommands, systemCommands } from "./specs/system.js";
import { volume } from "./specs/volume.js";
import { watchingCommands } from "./specs/watching.js";

export const groups: readonly Group[] = [
  config,
  container,
  image,
  network,
  node,
  policy,
  secret,
  service,
  swarm,
  volume,
];

export const topCommands: readonly Command[] = [
  ...containerCommands,
  ...imageCommands,
  ...networkingCommands,
  ...watchingCommands,
  ...systemCommands,
];

/** Every command once: those that stand in two places under their shorter path. */
export const allCommands: readonly Command[] = [
  ...topCommands,
  ...groups
    .filter((group) => group !== container && group !== image)
    .flatMap((group) => group.commands),
];

export const globalFlags: readonly Flag[] = [
  {
    name: "host",
    short: "H",
    type: "string",
    about: "Socket of the agent to talk to (or SKEIN_HOST)",
    fallback: "unix:///run/skein/skein.sock",
  },
  { name: "version", short: "v", type: "bool", about: "Print version information and quit" },
];

function section(title: string, rows: Section["rows"]): Section {
  return { title, rows: [...rows].sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

export const sections: readonly Section[] = [
  section("Swarm Commands", [config, node, secret, service, swarm]),
  section("Network Commands", [network, policy, ...networkingCommands, ...watchingCommands]),
  section("Container Commands", [container, volume, ...containerCommands]),
  section("Image Commands", [image, ...imageCommands]),
  section("Other Commands", systemCommands),
];

export type Found =
  | { readonly kind: "top" }
  | { readonly kind: "group"; readonly group: Group; readonly rest: readonly string[] }
  | { readonly kind: "command"; readonly command: Command; readonly rest: readonly string[] }
  | { readonly kind: "unknown"; readonly word: string; readonly within: string };

/** `words` are what follows the global flags. */
export function find(words: readonly string[]): Found {
  const [first, second] = words;
  if (first === undefined) return { kind: "top" };
  const group = groups.find((one) => one.path === first);
  if (group !== undefined) {
    const command = pick(group.commands, second, group.path);
    if (command !== undefined) return { kind: "command", command, rest: words.slice(2) };
    if (second === undefined || second.startsWith("-") || words.includes("--help")) {
      return { kind: "group", group, rest: words.slice(1) };
    }
    return { kind: "unknown", word: second, within: group.path };
  }
  const command = pick(topCommands, first, "");
  if (command !== undefined) return { kind: "command", command, rest: words.slice(1) };
  return { kind: "unknown", word: first, within: "" };
}

function pick(
  commands: readonly Command[],
  word: string | undefined,
  group: string,
): Command | undefined {
  if (word === undefined) return undefined;
  return commands.find(
    (one) => lastWord(one.path) === word || otherNames(one, group).includes(word),
  );
}
