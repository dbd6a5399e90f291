// skein service …
import { atLeast, type Command, exactly, type Group, none } from "../command.js";
import { createFlags, updateFlags } from "./service-flags.js";
import { bool, filter, fromLogs, listFormat, objectFormat, taskTable } from "./shared.js";

const handlers = () => import("../commands/service.js");
const detach = bool(
  "detach",
  "Exit immediately instead of waiting for the service to converge",
  "d",
);
const quiet = bool("quiet", "Suppress progress output", "q");

const commands: readonly Command[] = [
  {
    path: "service create",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new service",
    args: atLeast(1),
    words: "images",
    example: "skein service create --name web --network overnet --replicas 2 alpine sleep 1d",
    flags: [
      ...createFlags,
      {
        name: "runtime",
        type: "string",
        fallback: "container",
        about: 'Runtime of the tasks ("container", "process": a command of the node\'s own)',
        words: ["container", "process"],
      },
    ],
    interspersed: false,
    load: async () => (await handlers()).create,
  },
  {
    path: "service inspect",
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    about: "Display detailed information on one or more services",
    args: atLeast(1),
    words: "services",
    example: "skein service inspect --pretty web",
    flags: [objectFormat, bool("pretty", "Print the information in a human friendly format")],
    load: async () => (await handlers()).inspect,
  },
  {
    path: "service logs",
    usage: "[OPTIONS] SERVICE|TASK",
    about: "Fetch the logs of a service or task",
    args: exactly(1),
    words: "services",
    example: "skein service logs --follow --tail 10 web",
    flags: [
      bool("details", "Show extra details provided to logs"),
      bool("follow", "Follow log output", "f"),
      bool("no-resolve", "Do not map IDs to Names in output"),
      bool("no-task-ids", "Do not include task IDs in output"),
      bool("no-trunc", "Do not truncate output"),
      bool("raw", "Do not neatly format logs"),
      ...fromLogs,
    ],
    load: async () => (await import("../commands/service-logs.js")).logs,
  },
  {
    path: "service ls",
    usage: "[OPTIONS]",
    about: "List services",
    aliases: ["service ls", "service list"],
    args: none,
    example: "skein service ls --filter mode=global",
    flags: [filter, listFormat, bool("quiet", "Only display IDs", "q")],
    load: async () => (await handlers()).ls,
  },
  {
    path: "service ps",
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    about: "List the tasks of one or more services",
    args: atLeast(1),
    words: "services",
    example: "skein service ps --no-trunc web",
    flags: taskTable,
    load: async () => (await import("../commands/service-ps.js")).ps,
  },
  {
    path: "service rm",
    usage: "SERVICE [SERVICE...]",
    about: "Remove one or more services",
    aliases: ["service rm", "service remove"],
    args: atLeast(1),
    words: "services",
    example: "skein service rm web",
    flags: [],
    load: async () => (await handlers()).rm,
  },
  {
    path: "service rollback",
    usage: "[OPTIONS] SERVICE",
    about: "Revert changes to a service's configuration",
    args: exactly(1),
    words: "services",
    example: "skein service rollback web",
    flags: [detach, quiet],
    load: async () => (await handlers()).rollback,
  },
  {
    path: "service scale",
    usage: "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
    about: "Scale one or multiple replicated services",
    args: atLeast(1),
    example: "skein service scale web=10",
    flags: [detach],
    load: async () => (await handlers()).scale,
  },
  {
    path: "service update",
    usage: "[OPTIONS] SERVICE",
    about: "Update a service",
    args: exactly(1),
    words: "services",
    example: "skein service update --image alpine:3 --update-parallelism 2 web",
    flags: updateFlags,
    load: async () => (await handlers()).update,
  },
];

export const service: Group = { path: "service", about: "Manage Swarm services", commands };
