// skein run, ps, logs, … and the same under `skein container`.
import {
  type ArgumentCount,
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
import { bool, detachKeys, filter, listFormat, objectFormat } from "./shared.js";

const lifecycle = () => import("../commands/lifecycle.js");
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

const createFlags: readonly Flag[] = [
  ...environment,
  { name: "hostname", short: "h", type: "string", about: "Container host name" },
  interactive,
  { name: "ip", type: "string", about: "IPv4 address (e.g., 172.30.100.104)" },
  { name: "ip6", type: "string", about: "IPv6 address (e.g., 2001:db8::33)" },
  { name: "label", short: "l", type: "list", about: "Set meta data on a container" },
  { name: "name", type: "string", about: "Assign a name to the container" },
  {
    name: "network",
    type: "network",
    about: "Connect a container to a network (NETWORK[,ip=ADDRESS][,ip6=ADDRESS][,alias=NAME])",
    words: "networks",
  },
  { name: "network-alias", type: "list", about: "Add network-scoped alias for the container" },
  bool("rm", "Automatically remove the container when it exits"),
  {
    name: "runtime",
    type: "string",
    fallback: "process",
    about: "Runtime to use for this container",
    words: ["process"],
  },
  { name: "stop-signal", type: "string", about: "Signal to stop the container" },
  { name: "stop-timeout", type: "int", about: "Timeout (in seconds) to stop a container" },
  tty,
  user,
  {
    name: "workdir",
    short: "w",
    type: "string",
    about: "Working directory inside the container",
  },
];

const sigProxy: Flag = {
  name: "sig-proxy",
  type: "bool",
  fallback: "true",
  about: "Proxy all received signals to the process",
};

const PROCESS_NOTE =
  "The command is one of this machine's own programs: there is no image. It runs in a sandbox of\n" +
  'its own, with the networks that it was given and no others. "--" may stand before it.';

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
    name: "create",
    usage: "[OPTIONS] [--] COMMAND [ARG...]",
    about: "Create a new container from a command of this machine",
    explain: `Create a new container from a command of this machine\n\n${PROCESS_NOTE}`,
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
      {
        name: "since",
        type: "string",
        about:
          'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
      },
      {
        name: "tail",
        short: "n",
        type: "string",
        fallback: "all",
        about: "Number of lines to show from the end of the logs",
      },
      bool("timestamps", "Show timestamps", "t"),
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
    flags: [bool("force", "Force the removal of a running container (uses SIGKILL)", "f")],
    example: "skein rm -f web",
    load: async () => (await lifecycle()).rm,
  }),
  both({
    name: "run",
    usage: "[OPTIONS] [--] COMMAND [ARG...]",
    about: "Create and run a new container from a command of this machine",
    explain: `Create and run a new container from a command of this machine\n\n${PROCESS_NOTE}`,
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

export const container: Group = {
  path: "container",
  about: "Manage containers",
  commands: [...containerCommands, inspectContainer]
    .map((command) => ({
      ...command,
      path: command.path === "ps" ? "container ls" : `container ${lastWord(command.path)}`,
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1)),
};
