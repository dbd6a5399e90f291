// skein policy …
import { atLeast, type Command, exactly, type Flag, type Group, none } from "../command.js";
import { bool, filter, listFormat } from "./shared.js";

const handlers = () => import("../commands/policy.js");

const network: Flag = {
  name: "network",
  type: "string",
  about: "Network that denies (default: the only one that both are on)",
  words: "networks",
};

const ALLOW_HELP = `Allow a service to reach another on a network that denies

On a network made with --opt skein.policy=deny nothing reaches a task but what a policy allows, and
the answers to it. FROM and TO are services; FROM may be "any" (or "*") for everybody on the
network, containers that belong to no service included. Ports are the target's own, not published
ones; without --port every port of every protocol is allowed. Allowing again adds ports to what is
allowed.`;

const EXPLAIN_HELP = `Say whether a service can reach another, and which policy allows it

Looks at every network that both are on. PORT is the target's own: "web:80", "web:53/udp". The exit
code is 0 when it is allowed on one of them, else 1. It reads what the swarm was told, and sends
nothing: "skein ping" measures.`;

const commands: readonly Command[] = [
  {
    path: "policy allow",
    usage: "[OPTIONS] FROM TO",
    about: "Allow a service to reach another on a network that denies",
    explain: ALLOW_HELP,
    args: exactly(2),
    words: "services",
    example: "skein policy allow web db --port 5432/tcp",
    flags: [
      network,
      { name: "port", type: "policy-port", about: "Port to allow: 80, 80/tcp, 8000-8010/udp, udp" },
    ],
    load: async () => (await handlers()).allow,
  },
  {
    path: "policy explain",
    usage: "[OPTIONS] FROM TO[:PORT[/PROTOCOL]]",
    about: "Say whether a service can reach another, and which policy allows it",
    explain: EXPLAIN_HELP,
    args: exactly(2),
    words: "services",
    example: "skein policy explain web db:5432",
    flags: [{ ...network, about: "Only this network" }],
    load: async () => (await handlers()).explain,
  },
  {
    path: "policy ls",
    usage: "[OPTIONS]",
    about: "List policies",
    aliases: ["policy ls", "policy list"],
    args: none,
    example: "skein policy ls --filter to=db",
    flags: [
      { ...filter, about: 'Provide filter values (e.g. "network=shop", "from=web", "to=db")' },
      listFormat,
      bool("no-trunc", "Do not truncate the output"),
      bool("quiet", "Only display IDs", "q"),
    ],
    load: async () => (await handlers()).ls,
  },
  {
    path: "policy rm",
    usage: "POLICY [POLICY...]",
    about: "Remove one or more policies",
    aliases: ["policy rm", "policy remove"],
    args: atLeast(1),
    words: "policies",
    example: "skein policy rm 7m2kq0w4r9yb",
    flags: [],
    load: async () => (await handlers()).rm,
  },
];

export const policy: Group = {
  path: "policy",
  about: "Manage who may reach whom on networks that deny",
  commands,
};
