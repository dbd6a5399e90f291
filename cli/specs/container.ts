// skein run, ps, logs, … and the same under `skein container`.
import {
  type ArgumentCount,
  any,
  atLeast,
  type Command,
  type Dynamic,
  exactly,
  type Flag,
  type Group,
  type Handler,
  lastWord,
  none,
} from "../command.js";
import { createFlags } from "./container-flags.js";
import {
  bool,
  detachKeys,
  filter,
  fromLogs,
  listFormat,
  objectFormat,
  pruneFilter,
} from "./shared.js";

const TOP_HELP = `Display the running processes of a container, or the traffic of a network

Of a container, its processes as ps shows them (what follows the name goes to ps).

Of a network, where no container has the name: who sends how much to whom, each second, on all nodes
(on a worker: on this one), what each endpoint sends and receives, and what is dropped and why. With
--once or --json the name is a network's.

Endpoints' figures are the kernel's own counts. Pairs are found by looking at frames, at 20,000 a
second on each node at most; beyond that they are estimates, and said to be so.

  skein top web
  skein top overnet
  skein top --once overnet`;

const lifecycle = () => import("../commands/lifecycle.js");
const views = () => import("../commands/container-views.js");
const running = () => import("../commands/run.js");

const environment: readonly Flag[] = [
  { name: "env", short: "e", type: "list", about: "Set environment variables" },
  { name: "env-file", type: "list", about: "Read in a file of environment variables" },
];
const user: Flag = {
  name: "user",
  short: "u",
  type: "string",
  about: "Username or UID (format: <name|uid>[:<group|gid>])",
};
const interactive = bool("interactive", "Keep STDIN open even if not attached", "i");
const tty = bool("tty", "Allocate a pseudo-TTY", "t");

const sigProxy: Flag = {
  name: "sig-proxy",
  type: "bool",
  fallback: "true",
  about: "Proxy all received signals to the process",
};

const PROCESS_NOTE =
  "After '--', or with --runtime process, the command is one of this machine's own programs and\n" +
  "there is no image: it runs in a sandbox with the networks that it was given and no others.";

interface Short {
  readonly name: string;
  readonly usage: string;
  readonly about: string;
  readonly explain?: string;
  readonly args: ArgumentCount;
  readonly words?: Dynamic;
  readonly flags: readonly Flag[];
  readonly interspersed?: boolean;
  readonly example: string;
  readonly aliases?: readonly string[];
  readonly load: () => Promise<Handler>;
}

/** A command that stands both at the top and under `container`. */
function both(short: Short): Command {
  const { name, aliases, ...rest } = short;
  return {
    ...rest,
    path: name,
    aliases: aliases ?? [`container ${name}`, name],
  };
}

const oneOrMore = { usage: "CONTAINER [CONTAINER...]", args: atLeast(1) };

export const containerCommands: readonly Command[] = [
  both({
    name: "cp",
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files/folders between a container and the local filesystem",
    explain:
      "Copy files/folders between a container and the local filesystem\n\n" +
      "Use '-' as the source to read a tar archive from stdin and extract it in a folder of the\n" +
      "container, and as the destination to write one of what is in the container to stdout.",
    args: exactly(2),
    words: "containers",
    flags: [
      bool("follow-link", "Always follow symbol link in SRC_PATH", "L"),
      bool("quiet", "Suppress progress output during copy", "q"),
    ],
    example: "skein cp web:/etc/passwd ./passwd",
    load: async () => (await import("../commands/cp.js")).cp,
  }),
  both({
    name: "create",
    usage: "[OPTIONS] IMAGE|-- COMMAND [ARG...]",
    about: "Create a new container",
    explain: `Create a new container\n\n${PROCESS_NOTE}`,
    words: "images",
    args: atLeast(1),
    flags: createFlags,
    interspersed: false,
    example: "skein create --name web --network overnet -- sleep infinity",
    load: async () => (await running()).create,
  }),
  both({
    name: "exec",
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    about: "Execute a command in a running container",
    args: atLeast(2),
    words: "running",
    flags: [
      bool("detach", "Detached mode: run command in the background", "d"),
      detachKeys,
      ...environment,
      interactive,
      bool("privileged", "Give extended privileges to the command"),
      tty,
      user,
      {
        name: "workdir",
        short: "w",
        type: "string",
        about: "Working directory inside the container",
      },
    ],
    interspersed: false,
    example: "skein exec web ip addr",
    load: async () => (await import("../commands/exec.js")).exec,
  }),
  both({
    name: "kill",
    ...oneOrMore,
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Kill one or more running containers",
    words: "running",
    flags: [
      { name: "signal", short: "s", type: "string", about: "Signal to send to the container" },
    ],
    example: "skein kill --signal HUP web",
    load: async () => (await lifecycle()).kill,
  }),
  both({
    name: "logs",
    usage: "[OPTIONS] CONTAINER",
    about: "Fetch the logs of a container",
    args: exactly(1),
    words: "containers",
    flags: [
      bool("details", "Show extra details provided to logs"),
      bool("follow", "Follow log output", "f"),
      ...fromLogs,
      {
        name: "until",
        type: "string",
        about:
          'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
      },
    ],
    example: "skein logs --follow --tail 10 web",
    load: async () => (await import("../commands/logs.js")).logs,
  }),
  both({
    name: "pause",
    ...oneOrMore,
    about: "Pause all processes within one or more containers",
    words: "running",
    flags: [],
    example: "skein pause web",
    load: async () => (await lifecycle()).pause,
  }),
  both({
    name: "port",
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "List port mappings or a specific mapping for the container",
    args: { min: 1, max: 2 },
    words: "containers",
    flags: [],
    example: "skein port web 80/tcp",
    load: async () => (await views()).port,
  }),
  both({
    name: "stats",
    usage: "[OPTIONS] [CONTAINER...]",
    about: "Display a live stream of container(s) resource usage statistics",
    args: any,
    words: "running",
    flags: [
      bool("all", "Show all containers (default shows just running)", "a"),
      listFormat,
      bool("no-stream", "Disable streaming stats and only pull the first result"),
      bool("no-trunc", "Do not truncate output"),
    ],
    example: "skein stats --no-stream web",
    load: async () => (await views()).stats,
  }),
  both({
    name: "top",
    usage: "CONTAINER [ps OPTIONS] | [OPTIONS] NETWORK",
    about: "Display the running processes of a container, or the traffic of a network",
    explain: TOP_HELP,
    args: atLeast(1),
    interspersed: false,
    words: "running",
    flags: [
      bool("json", "Of a network: print each node's interval as a line of JSON"),
      bool("once", "Of a network: one interval of each node, and the end"),
    ],
    example: "skein top web",
    load: async () => (await views()).top,
  }),
  both({
    name: "unpause",
    ...oneOrMore,
    about: "Unpause all processes within one or more containers",
    words: "containers",
    flags: [],
    example: "skein unpause web",
    load: async () => (await lifecycle()).unpause,
  }),
  both({
    name: "ps",
    usage: "[OPTIONS]",
    about: "List containers",
    aliases: ["container ls", "container list", "container ps", "ps"],
    args: none,
    flags: [
      bool("all", "Show all containers (default shows just running)", "a"),
      filter,
      listFormat,
      {
        name: "last",
        short: "n",
        type: "int",
        fallback: "-1",
        about: "Show n last created containers (includes all states)",
      },
      bool("latest", "Show the latest created container (includes all states)", "l"),
      bool("no-trunc", "Don't truncate output"),
      bool("quiet", "Only display container IDs", "q"),
    ],
    example: "skein ps --all",
    load: async () => (await import("../commands/ps.js")).ps,
  }),
  both({
    name: "rename",
    usage: "CONTAINER NEW_NAME",
    about: "Rename a container",
    args: exactly(2),
    words: "containers",
    flags: [],
    example: "skein rename web web-old",
    load: async () => (await lifecycle()).rename,
  }),
  both({
    name: "restart",
    ...oneOrMore,
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Restart one or more containers",
    words: "containers",
    flags: [
      { name: "signal", short: "s", type: "string", about: "Signal to send to the container" },
      {
        name: "timeout",
        short: "t",
        type: "int",
        about: "Seconds to wait before killing the container",
      },
    ],
    example: "skein restart web",
    load: async () => (await lifecycle()).restart,
  }),
  both({
    name: "rm",
    ...oneOrMore,
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    aliases: ["container rm", "container remove", "rm"],
    words: "containers",
    flags: [
      bool("force", "Force the removal of a running container (uses SIGKILL)", "f"),
      bool("volumes", "Remove anonymous volumes associated with the container", "v"),
    ],
    example: "skein rm -f web",
    load: async () => (await lifecycle()).rm,
  }),
  both({
    name: "run",
    usage: "[OPTIONS] IMAGE|-- COMMAND [ARG...]",
    about: "Create and run a new container from an image",
    explain: `Create and run a new container from an image\n\n${PROCESS_NOTE}`,
    words: "images",
    args: atLeast(1),
    flags: [
      ...createFlags,
      bool("detach", "Run container in background and print container ID", "d"),
      detachKeys,
      sigProxy,
    ],
    interspersed: false,
    example: "skein run --rm --network overnet -- ping -c 5 10.0.1.3",
    load: async () => (await running()).run,
  }),
  both({
    name: "start",
    ...oneOrMore,
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    words: "containers",
    flags: [
      bool("attach", "Attach STDOUT/STDERR and forward signals", "a"),
      detachKeys,
      bool("interactive", "Attach container's STDIN", "i"),
    ],
    example: "skein start --attach web",
    load: async () => (await import("../commands/start.js")).start,
  }),
  both({
    name: "stop",
    ...oneOrMore,
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Stop one or more running containers",
    words: "running",
    flags: [
      { name: "signal", short: "s", type: "string", about: "Signal to send to the container" },
      {
        name: "timeout",
        short: "t",
        type: "int",
        about: "Seconds to wait before killing the container",
      },
    ],
    example: "skein stop -t 1 web",
    load: async () => (await lifecycle()).stop,
  }),
  both({
    name: "wait",
    ...oneOrMore,
    about: "Block until one or more containers stop, then print their exit codes",
    words: "containers",
    flags: [],
    example: "skein wait web",
    load: async () => (await lifecycle()).wait,
  }),
];

/** `skein container inspect`: the general inspect, of containers only. */
const inspectContainer: Command = {
  path: "container inspect",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  about: "Display detailed information on one or more containers",
  args: atLeast(1),
  words: "containers",
  flags: [objectFormat],
  example: "skein container inspect web",
  load: async () => (await import("../commands/inspect.js")).inspectContainer,
};

const pruneContainers: Command = {
  path: "container prune",
  usage: "[OPTIONS]",
  about: "Remove all stopped containers",
  args: none,
  flags: [pruneFilter, bool("force", "Do not prompt for confirmation", "f")],
  example: "skein container prune -f",
  load: async () => (await lifecycle()).prune,
};

export const container: Group = {
  path: "container",
  about: "Manage containers",
  commands: [...containerCommands, inspectContainer, pruneContainers]
    .map((command) => ({
      ...command,
      path: command.path === "ps" ? "container ls" : `container ${lastWord(command.path)}`,
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1)),
};
