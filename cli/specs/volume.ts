// skein volume …
import { atLeast, type Command, flag, type Group, none } from "../command.js";
import { bool, filter, listFormat, objectFormat, pruneFilter } from "./shared.js";

const handlers = () => import("../commands/volume.js");

const commands: readonly Command[] = [
  {
    path: "volume create",
    usage: "[OPTIONS] [VOLUME]",
    about: "Create a volume",
    args: { min: 0, max: 1 },
    flags: [
      flag("driver", "string", "Specify volume driver name", { short: "d", fallback: "local" }),
      flag("label", "list", "Set metadata for a volume"),
      flag("opt", "map", "Set driver specific options", { short: "o" }),
    ],
    example: "skein volume create data",
    load: async () => (await handlers()).create,
  },
  {
    path: "volume inspect",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Display detailed information on one or more volumes",
    args: atLeast(1),
    words: "volumes",
    flags: [objectFormat],
    example: "skein volume inspect data",
    load: async () => (await handlers()).inspect,
  },
  {
    path: "volume ls",
    usage: "[OPTIONS]",
    about: "List volumes",
    aliases: ["volume ls", "volume list"],
    args: none,
    flags: [filter, listFormat, bool("quiet", "Only display volume names", "q")],
    example: "skein volume ls --filter dangling=true",
    load: async () => (await handlers()).ls,
  },
  {
    path: "volume prune",
    usage: "[OPTIONS]",
    about: "Remove unused local volumes",
    args: none,
    flags: [
      bool("all", "Remove all unused volumes, not just anonymous ones", "a"),
      { ...pruneFilter, about: 'Provide filter values (e.g. "label=<label>")' },
      bool("force", "Do not prompt for confirmation", "f"),
    ],
    example: "skein volume prune -f",
    load: async () => (await handlers()).prune,
  },
  {
    path: "volume rm",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Remove one or more volumes",
    aliases: ["volume rm", "volume remove"],
    args: atLeast(1),
    words: "volumes",
    flags: [bool("force", "Force the removal of one or more volumes", "f")],
    example: "skein volume rm data",
    load: async () => (await handlers()).rm,
  },
];

export const volume: Group = { path: "volume", about: "Manage volumes", commands };
