// Commands about the whole node, and those that only Skein has.
import { any, atLeast, type Command, none } from "../command.js";
import { bool, detachKeys, filter, listFormat, objectFormat } from "./shared.js";

const attaching = () => import("../commands/attachments.js");

const ATTACH_HELP = `Put this machine, or a network namespace that exists already, on a network; or attach to a container

With --network, the machine itself gets an interface and an address on the network, or the
namespace that --netns names does (a name under /run/netns, or the path of a namespace file: LXC's,
podman's, nspawn's, a VM's). The attachment stays until "skein detach", through restarts.

Without --network, the argument is a container, and the local standard input, output and error
streams are attached to it, as "docker attach" does.`;

const DOCTOR_HELP = `Say what is wrong in the swarm, where, since when, and what to do

On a manager every node is asked, and those that do not answer are named; on a worker the node
tells of itself. With NETWORK: only its nodes, and what concerns it. Told are: nodes that are away,
managers that do not answer, clocks that differ, pools of addresses that run out, peers whose frames
do not arrive and whether they are filtered or gone, what cannot be made in the kernel as it is
wanted, published ports that another program has, packet filters of others in the way; and of each
node the data path in use, and why not a faster one. The exit code is 0 if nothing is wrong, else 1.`;

export const networkingCommands: readonly Command[] = [
  {
    path: "attach",
    usage: "[OPTIONS] (--network NETWORK | CONTAINER)",
    about: "Put this machine or a namespace on a network, or attach to a container",
    explain: ATTACH_HELP,
    args: any,
    words: "running",
    example: "skein attach --network overnet --netns build",
    flags: [
      { name: "alias", type: "strings", about: "Add network-scoped alias for the attachment" },
      detachKeys,
      objectFormat,
      {
        name: "interface",
        type: "string",
        about: "Name of the interface inside (default: chosen)",
      },
      { name: "ip", type: "string", about: "IPv4 address (default: the next free one)" },
      { name: "ip6", type: "string", about: "IPv6 address (default: the next free one)" },
      { name: "name", type: "string", about: "Name of the attachment (default: chosen)" },
      {
        name: "netns",
        type: "string",
        about: "Namespace to attach (default: this machine's own)",
      },
      { name: "network", type: "network", about: "Network to be on", words: "networks" },
      bool("no-stdin", "Do not attach STDIN"),
      bool("quiet", "Only display the address", "q"),
      {
        name: "sig-proxy",
        type: "bool",
        fallback: "true",
        about: "Proxy all received signals to the process",
      },
    ],
    load: async () => (await attaching()).attach,
  },
  {
    path: "attachments",
    usage: "[OPTIONS]",
    about: "List what was put on networks by hand on this node",
    args: none,
    example: "skein attachments",
    flags: [
      listFormat,
      bool("no-trunc", "Do not truncate the output"),
      bool("quiet", "Only display attachment IDs", "q"),
    ],
    load: async () => (await attaching()).ls,
  },
  {
    path: "detach",
    usage: "ATTACHMENT|NETWORK [ATTACHMENT|NETWORK...]",
    about: "Take this machine or a namespace off a network",
    args: atLeast(1),
    words: "attachments",
    example: "skein detach overnet",
    flags: [],
    load: async () => (await attaching()).detach,
  },
];

export const systemCommands: readonly Command[] = [
  {
    path: "completion",
    usage: "(bash|zsh|fish)",
    about: "Print a completion script for a shell",
    explain:
      "Print a completion script for a shell\n\n" +
      "  bash:  skein completion bash > /etc/bash_completion.d/skein\n" +
      "  zsh:   skein completion zsh > /usr/local/share/zsh/site-functions/_skein\n" +
      "  fish:  skein completion fish > ~/.config/fish/completions/skein.fish",
    args: { min: 1, max: 1 },
    words: ["bash", "zsh", "fish"],
    example: "skein completion bash > /etc/bash_completion.d/skein",
    flags: [],
    load: async () => (await import("../commands/completion.js")).completion,
  },
  {
    path: "doctor",
    usage: "[OPTIONS] [NETWORK]",
    about: "Say what is wrong in the swarm, and what to do",
    explain: DOCTOR_HELP,
    args: { min: 0, max: 1 },
    words: "networks",
    example: "skein doctor",
    flags: [
      objectFormat,
      bool("json", "Print what was found as JSON"),
      {
        name: "timeout",
        type: "duration",
        fallback: "5s",
        about: "How long to wait for the nodes (ms|s)",
      },
    ],
    load: async () => (await import("../commands/doctor.js")).doctor,
  },
  {
    path: "events",
    usage: "[OPTIONS]",
    about: "Get real time events from the agent",
    args: none,
    example: "skein events --since 10m --filter type=network",
    flags: [
      filter,
      { ...listFormat, about: objectFormat.about },
      { name: "since", type: "string", about: "Show all events created since timestamp" },
      { name: "until", type: "string", about: "Stream events until this timestamp" },
    ],
    load: async () => (await import("../commands/events.js")).events,
  },
  {
    path: "info",
    usage: "[OPTIONS]",
    about: "Display system-wide information",
    args: none,
    example: "skein info --format '{{json .Swarm}}'",
    flags: [objectFormat],
    load: async () => (await import("../commands/info.js")).info,
  },
  {
    path: "inspect",
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    about: "Return low-level information on Skein objects",
    args: atLeast(1),
    words: "containers",
    example: "skein inspect -f '{{.State.Pid}}' web",
    flags: [
      objectFormat,
      {
        name: "type",
        type: "string",
        about: "Only inspect objects of the given type",
        words: ["container", "network", "node"],
      },
    ],
    load: async () => (await import("../commands/inspect.js")).inspect,
  },
  {
    path: "version",
    usage: "[OPTIONS]",
    about: "Show the Skein version information",
    args: none,
    example: "skein version",
    flags: [objectFormat],
    load: async () => (await import("../commands/version.js")).version,
  },
];
