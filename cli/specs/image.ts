// skein image …, and the same at the top: pull, push, images, rmi, tag, save, load, import, history.
import { atLeast, type Command, exactly, flag, type Group, none } from "../command.js";
import { bool, filter, listFormat, objectFormat, pruneFilter } from "./shared.js";

const handlers = () => import("../commands/image.js");
const platform = flag("platform", "string", "Set platform if server is multi-platform capable");
const quietPull = bool("quiet", "Suppress verbose output", "q");

/** The path is the one at the top; `under` is its word in the group. */
interface Both extends Command {
  readonly under: string;
}

const both: readonly Both[] = [
  {
    path: "pull",
    under: "pull",
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    aliases: ["image pull", "pull"],
    args: exactly(1),
    flags: [
      bool("all-tags", "Download all tagged images in the repository", "a"),
      platform,
      quietPull,
    ],
    example: "skein pull alpine:3",
    load: async () => (await handlers()).pull,
  },
  {
    path: "push",
    under: "push",
    usage: "[OPTIONS] NAME[:TAG]",
    about: "Upload an image to a registry",
    aliases: ["image push", "push"],
    args: exactly(1),
    words: "images",
    flags: [quietPull],
    example: "skein push registry.example:5000/web:2",
    load: async () => (await handlers()).push,
  },
  {
    path: "images",
    under: "ls",
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    about: "List images",
    aliases: ["image ls", "image list", "images"],
    args: { min: 0, max: 1 },
    flags: [
      bool("all", "Show all images (default hides intermediate images)", "a"),
      bool("digests", "Show digests"),
      filter,
      listFormat,
      bool("no-trunc", "Don't truncate output"),
      bool("quiet", "Only show image IDs", "q"),
    ],
    example: "skein images --filter dangling=true",
    load: async () => (await handlers()).ls,
  },
  {
    path: "rmi",
    under: "rm",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Remove one or more images",
    aliases: ["image rm", "image remove", "rmi"],
    args: atLeast(1),
    words: "images",
    flags: [
      bool("force", "Force removal of the image", "f"),
      bool("no-prune", "Do not delete untagged parents"),
    ],
    example: "skein rmi alpine:3",
    load: async () => (await handlers()).rm,
  },
  {
    path: "tag",
    under: "tag",
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    aliases: ["image tag", "tag"],
    args: exactly(2),
    words: "images",
    flags: [],
    example: "skein tag alpine:3 registry.example:5000/alpine:3",
    load: async () => (await handlers()).tag,
  },
  {
    path: "save",
    under: "save",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    aliases: ["image save", "save"],
    args: atLeast(1),
    words: "images",
    flags: [flag("output", "string", "Write to a file, instead of STDOUT", { short: "o" })],
    example: "skein save -o alpine.tar alpine:3",
    load: async () => (await handlers()).save,
  },
  {
    path: "load",
    under: "load",
    usage: "[OPTIONS]",
    about: "Load an image from a tar archive or STDIN",
    aliases: ["image load", "load"],
    args: none,
    flags: [
      flag("input", "string", "Read from tar archive file, instead of STDIN", { short: "i" }),
      bool("quiet", "Suppress the load output", "q"),
    ],
    example: "skein load -i alpine.tar",
    load: async () => (await handlers()).load,
  },
  {
    path: "import",
    under: "import",
    usage: "[OPTIONS] file|- [REPOSITORY[:TAG]]",
    about: "Import the contents from a tarball to create a filesystem image",
    aliases: ["image import", "import"],
    args: { min: 1, max: 2 },
    flags: [
      flag("change", "list", "Apply Dockerfile instruction to the created image", { short: "c" }),
      flag("message", "string", "Set commit message for imported image", { short: "m" }),
      platform,
    ],
    example: "skein import -c 'CMD=/bin/sh' rootfs.tar base:1",
    load: async () => (await handlers()).importTar,
  },
  {
    path: "history",
    under: "history",
    usage: "[OPTIONS] IMAGE",
    about: "Show the history of an image",
    aliases: ["image history", "history"],
    args: exactly(1),
    words: "images",
    flags: [
      listFormat,
      {
        name: "human",
        short: "H",
        type: "bool",
        fallback: "true",
        about: "Print sizes and dates in human readable format",
      },
      bool("no-trunc", "Don't truncate output"),
      bool("quiet", "Only show image IDs", "q"),
    ],
    example: "skein history alpine:3",
    load: async () => (await handlers()).history,
  },
];

export const imageCommands: readonly Command[] = both.map(({ under: _, ...command }) => command);

const inGroup: readonly Command[] = [
  ...both.map(({ under, ...command }): Command => ({ ...command, path: `image ${under}` })),
  {
    path: "image inspect",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Display detailed information on one or more images",
    args: atLeast(1),
    words: "images",
    flags: [objectFormat],
    example: "skein image inspect alpine:3",
    load: async () => (await handlers()).inspect,
  },
  {
    path: "image prune",
    usage: "[OPTIONS]",
    about: "Remove unused images",
    args: none,
    flags: [
      bool("all", "Remove all unused images, not just dangling ones", "a"),
      pruneFilter,
      bool("force", "Do not prompt for confirmation", "f"),
    ],
    example: "skein image prune -f",
    load: async () => (await handlers()).prune,
  },
];

export const image: Group = {
  path: "image",
  about: "Manage images",
  commands: [...inGroup].sort((a, b) => (a.path < b.path ? -1 : 1)),
};
