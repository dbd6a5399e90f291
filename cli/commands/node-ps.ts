// skein node ps: the tasks of nodes.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { type Listing, printListing } from "../format/listing.js";
import { ellipsis, humanDuration, naturally, shortId, titleCase } from "../format/units.js";
import { DaemonError } from "../http/api.js";
import { items, type Json, list, number, text } from "../json.js";
import { resolveSelf } from "./node.js";

/** A task with the names that its table shows. */
interface TaskRow {
  readonly task: Json;
  readonly name: string;
  readonly node: string;
}

export const ps: Handler = async (cli, { args, flags }) => {
  const filters = flags.filters();
  const problems: string[] = [];
  const tasks: Json[] = [];
  for (const ref of args.length === 0 ? ["self"] : args) {
    try {
      const id = encodeURIComponent(await resolveSelf(cli, ref));
      const node = await cli.api.get(`/nodes/${id}`);
      const wanted = { ...filters, node: { [text(node, "ID")]: true } };
      const found = await cli.api.get("/tasks", { query: { filters: JSON.stringify(wanted) } });
      tasks.push(...list(found));
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length === 0 || tasks.length > 0) {
    const rows = arrange(await named(cli, tasks, !flags.bool("no-resolve")));
    printListing(cli, taskListing(cli, flags.bool("no-trunc")), rows, {
      format: flags.text("format"),
      quiet: flags.bool("quiet"),
    });
  }
  if (problems.length > 0) throw new Failure(problems.join("\n"));
  return 0;
};

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
