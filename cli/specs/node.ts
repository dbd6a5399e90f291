// skein node …
import { any, atLeast, type Command, exactly, type Group, none } from "../command.js";
import { bool, filter, listFormat, objectFormat, taskTable } from "./shared.js";

const handlers = () => import("../commands/node.js");
const AVAILABILITIES = ["active", "pause", "drain"];

const commands: readonly Command[] = [
  {
    path: "node demote",
    usage: "NODE [NODE...]",
    about: "Demote one or more nodes from manager in the swarm",
    args: atLeast(1),
    words: "nodes",
    example: "skein node demote h2",
    flags: [bool("force", "Demote it also when the managers left would have no quorum")],
    load: async () => (await handlers()).demote,
  },
  {
    path: "node inspect",
    usage: "[OPTIONS] self|NODE [NODE...]",
    about: "Display detailed information on one or more nodes",
    args: atLeast(1),
    words: "nodes",
    example: "skein node inspect --pretty self",
    flags: [objectFormat, bool("pretty", "Print the information in a human friendly format")],
    load: async () => (await handlers()).inspect,
  },
  {
    path: "node ls",
    usage: "[OPTIONS]",
    about: "List nodes in the swarm",
    aliases: ["node ls", "node list"],
    args: none,
    example: "skein node ls --filter role=manager",
    flags: [filter, listFormat, bool("quiet", "Only display IDs", "q")],
    load: async () => (await handlers()).ls,
  },
  {
    path: "node promote",
    usage: "NODE [NODE...]",
    about: "Promote one or more nodes to manager in the swarm",
    args: atLeast(1),
    words: "nodes",
    example: "skein node promote h2 h3",
    flags: [],
    load: async () => (await handlers()).promote,
  },
  {
    path: "node ps",
    usage: "[OPTIONS] [NODE...]",
    about: "List tasks running on one or more nodes, defaults to current node",
    args: any,
    words: "nodes",
    example: "skein node ps h2",
    flags: taskTable,
    load: async () => (await import("../commands/node-ps.js")).ps,
  },
  {
    path: "node rm",
    usage: "[OPTIONS] NODE [NODE...]",
    about: "Remove one or more nodes from the swarm",
    aliases: ["node rm", "node remove"],
    args: atLeast(1),
    words: "nodes",
    example: "skein node rm --force h3",
    flags: [bool("force", "Force remove a node from the swarm", "f")],
    load: async () => (await handlers()).rm,
  },
  {
    path: "node set-addr",
    usage: "self|NODE ADDR",
    about: "Say where a node of the swarm is reached from now on",
    explain: `Say where a node of the swarm is reached from now on

A node whose address changes follows by itself where it can: it speaks from the new
one, and its certificate proves who it is. Where that is not enough, say it: on the
node itself ("self"), or of a manager on any manager. When all managers have changed
at once and none leads, tell one of them of the others, by their ids; who is reached
answers. On a worker, the same tells it where a manager is.`,
    args: exactly(2),
    words: "nodes",
    example: "skein node set-addr h2 192.168.33.12",
    flags: [],
    load: async () => (await handlers()).setAddr,
  },
  {
    path: "node update",
    usage: "[OPTIONS] NODE",
    about: "Update a node",
    args: exactly(1),
    words: "nodes",
    example: "skein node update --availability drain --label-add zone=a h2",
    flags: [
      {
        name: "availability",
        type: "string",
        about: 'Availability of the node ("active", "pause", "drain")',
        words: AVAILABILITIES,
      },
      { name: "label-add", type: "list", about: 'Add or update a node label ("key=value")' },
      { name: "label-rm", type: "list", about: "Remove a node label if exists" },
      {
        name: "role",
        type: "string",
        about: 'Role of the node ("worker", "manager")',
        words: ["worker", "manager"],
      },
    ],
    load: async () => (await handlers()).update,
  },
];

export const node: Group = { path: "node", about: "Manage Swarm nodes", commands };
