// skein secret … and skein config …
import {
  type ArgumentCount,
  atLeast,
  type Command,
  type Flag,
  type Group,
  none,
} from "../command.js";
import { bool, filter, listFormat, objectFormat } from "./shared.js";

const handlers = async (kind: "secret" | "config") => (await import("../commands/secret.js"))[kind];

interface Creating {
  readonly usage: string;
  readonly about: string;
  readonly args: ArgumentCount;
  readonly example: string;
  readonly flags: readonly Flag[];
}

function group(kind: "secret" | "config", about: string, creating: Creating): Group {
  const some = kind === "secret" ? "SECRET" : "CONFIG";
  const template: Flag = { name: "template-driver", type: "string", about: "Template driver" };
  const commands: readonly Command[] = [
    {
      path: `${kind} create`,
      ...creating,
      flags: [...creating.flags, template],
      load: async () => (await handlers(kind)).create,
    },
    {
      path: `${kind} inspect`,
      usage: `[OPTIONS] ${some} [${some}...]`,
      about: `Display detailed information on one or more ${kind}s`,
      args: atLeast(1),
      words: `${kind}s`,
      example: `skein ${kind} inspect --pretty site`,
      flags: [objectFormat, bool("pretty", "Print the information in a human friendly format")],
      load: async () => (await handlers(kind)).inspect,
    },
    {
      path: `${kind} ls`,
      usage: "[OPTIONS]",
      about: `List ${kind}s`,
      aliases: [`${kind} ls`, `${kind} list`],
      args: none,
      example: `skein ${kind} ls --filter label=env=dev`,
      flags: [filter, listFormat, bool("quiet", "Only display IDs", "q")],
      load: async () => (await handlers(kind)).ls,
    },
    {
      path: `${kind} rm`,
      usage: `${some} [${some}...]`,
      about: `Remove one or more ${kind}s`,
      aliases: [`${kind} rm`, `${kind} remove`],
      args: atLeast(1),
      words: `${kind}s`,
      example: `skein ${kind} rm site`,
      flags: [],
      load: async () => (await handlers(kind)).rm,
    },
  ];
  return { path: kind, about, commands };
}

export const secret = group("secret", "Manage Swarm secrets", {
  usage: "[OPTIONS] SECRET [file|-]",
  about: "Create a secret from a file or STDIN as content",
  args: { min: 1, max: 2 },
  example: "skein secret create password ./password.txt",
  flags: [
    { name: "driver", short: "d", type: "string", about: "Secret driver" },
    { name: "label", short: "l", type: "list", about: "Secret labels" },
  ],
});

export const config = group("config", "Manage Swarm configs", {
  usage: "[OPTIONS] CONFIG file|-",
  about: "Create a config from a file or STDIN",
  args: { min: 2, max: 2 },
  example: "skein config create site ./nginx.conf",
  flags: [{ name: "label", short: "l", type: "list", about: "Config labels" }],
});
