// skein service ps: the tasks of services, with their history.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { list, text } from "../json.js";
import { printTasks, taskChoice } from "../service/tasks.js";
import { resolveSelf } from "./node.js";

export const ps: Handler = async (cli, { args, flags }) => {
  const { ids, problems } = await serviceIds(cli, args);
  if (ids.length > 0) {
    const filters = flags.filters();
    const nodes = Object.keys(filters["node"] ?? {});
    const found: Record<string, boolean> = {};
    for (const ref of nodes) found[await nodeId(cli, ref)] = true;
    const wanted = {
      ...filters,
      ...(nodes.length > 0 ? { node: found } : {}),
      service: Object.fromEntries(ids.map((id) => [id, true])),
    };
    const query = { filters: JSON.stringify(wanted) };
    const tasks = list(await cli.api.get("/tasks", { query }));
    await printTasks(cli, tasks, taskChoice(flags));
  }
  if (problems.length > 0) throw new Failure(problems.join("\n"));
  return 0;
};

/** By id, name, or the beginning of an id, in this order. */
async function serviceIds(
  cli: Cli,
  refs: readonly string[],
): Promise<{ readonly ids: readonly string[]; readonly problems: readonly string[] }> {
  const named = Object.fromEntries(refs.map((ref) => [ref, true]));
  const look = async (key: "id" | "name") =>
    list(await cli.api.get("/services", { query: { filters: JSON.stringify({ [key]: named }) } }));
  const byId = await look("id");
  const byName = await look("name");
  const ids: string[] = [];
  const problems: string[] = [];
  for (const ref of refs) {
    const exact =
      byId.find((one) => text(one, "ID") === ref) ??
      byName.find((one) => text(one, "Spec", "Name") === ref);
    const alike = byId.filter((one) => text(one, "ID").startsWith(ref));
    if (exact !== undefined) ids.push(text(exact, "ID"));
    else if (alike.length === 1) ids.push(text(alike[0], "ID"));
    else if (alike.length > 1) {
      problems.push(
        `multiple services found with provided prefix: ${ref} (${alike.length} services)`,
      );
    } else problems.push(`no such service: ${ref}`);
  }
  return { ids, problems };
}

/** A host name is as good as an id here. */
async function nodeId(cli: Cli, ref: string): Promise<string> {
  const id = await resolveSelf(cli, ref);
  const node = await cli.api.get(`/nodes/${encodeURIComponent(id)}`).catch(() => undefined);
  return text(node, "ID") || id;
}
