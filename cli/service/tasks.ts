// The table of tasks that `service ps` and `node ps` print.
import type { Values } from "../args/values.js";
import type { Cli } from "../cli.js";
import { type Listing, printListing } from "../format/listing.js";
import { ellipsis, humanDuration, naturally, shortId, titleCase } from "../format/units.js";
import { items, type Json, number, text } from "../json.js";

/** A task with the names that its table shows. */
interface TaskRow {
  readonly task: Json;
  readonly name: string;
  readonly node: string;
}

export interface TaskChoice {
  readonly resolve: boolean;
  readonly noTruncate: boolean;
  readonly format: string;
  readonly quiet: boolean;
}

export function taskChoice(flags: Values): TaskChoice {
  return {
    resolve: !flags.bool("no-resolve"),
    noTruncate: flags.bool("no-trunc"),
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  };
}

export async function printTasks(
  cli: Cli,
  tasks: readonly Json[],
  choice: TaskChoice,
): Promise<void> {
  const rows = arrange(await named(cli, tasks, choice.resolve));
  printListing(cli, taskListing(cli, choice.noTruncate), rows, choice);
}

async function named(cli: Cli, tasks: readonly Json[], resolve: boolean): Promise<TaskRow[]> {
  const names = new Map<string, Promise<string>>();
  const nameOf = (kind: string, id: string, read: (found: Json) => string): Promise<string> => {
    if (!resolve || id === "") return Promise.resolve(id);
    const known = names.get(id);
    if (known !== undefined) return known;
    // What was removed meanwhile keeps its id.
    const asked = cli.api.get(`/${kind}/${id}`).then(read, () => id);
    names.set(id, asked);
    return asked;
  };
  return Promise.all(
    tasks.map(async (task) => {
      const service = await nameOf("services", text(task, "ServiceID"), (found) =>
        text(found, "Spec", "Name"),
      );
      const node = await nameOf("nodes", text(task, "NodeID"), (found) =>
        text(found, "Description", "Hostname"),
      );
      const slot = number(task, "Slot");
      const suffix = slot > 0 ? String(slot) : text(task, "NodeID");
      return { task, name: service === "" ? text(task, "ID") : `${service}.${suffix}`, node };
    }),
  );
}

/** By name, newest first; a task that took another's place stands under it with a branch before it. */
function arrange(rows: readonly TaskRow[]): TaskRow[] {
  const sorted = [...rows].sort(
    (a, b) =>
      naturally(a.name, b.name) ||
      text(b.task, "CreatedAt").localeCompare(text(a.task, "CreatedAt")),
  );
  return sorted.map((row, i) =>
    sorted[i - 1]?.name === row.name ? { ...row, name: ` \\_ ${row.name}` } : row,
  );
}

const ERROR_COLUMNS = 30;

function taskListing(cli: Cli, noTruncate: boolean): Listing<TaskRow> {
  return {
    typeName: "*task.taskContext",
    table:
      "{{.ID}}\t{{.Name}}\t{{.Image}}\t{{.Node}}\t{{.DesiredState}}\t{{.CurrentState}}\t{{.Error}}\t{{.Ports}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "ID",
      Name: "NAME",
      Image: "IMAGE",
      Node: "NODE",
      DesiredState: "DESIRED STATE",
      CurrentState: "CURRENT STATE",
      Error: "ERROR",
      Ports: "PORTS",
    },
    fields: ({ task, name, node }) => ({
      ID: () => (noTruncate ? text(task, "ID") : shortId(text(task, "ID"))),
      Name: () => name,
      Image: () => text(task, "Spec", "ContainerSpec", "Image").replace(/@sha256:[0-9a-f]+$/, ""),
      Node: () => node,
      DesiredState: () => titleCase(text(task, "DesiredState")),
      CurrentState: () => {
        const since = Date.parse(text(task, "Status", "Timestamp"));
        const age = humanDuration(cli.nowMs() - since).toLowerCase();
        return `${titleCase(text(task, "Status", "State"))} ${age} ago`;
      },
      Error: () => {
        const message = text(task, "Status", "Err");
        if (message === "") return "";
        return JSON.stringify(noTruncate ? message : ellipsis(message, ERROR_COLUMNS));
      },
      Ports: () =>
        items(task, "Status", "PortStatus", "Ports")
          .map(
            (port) =>
              `*:${number(port, "PublishedPort")}->${number(port, "TargetPort")}/${text(port, "Protocol")}`,
          )
          .join(","),
    }),
  };
}
