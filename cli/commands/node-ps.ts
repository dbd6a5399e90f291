// skein node ps: the tasks of nodes.
import { Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { DaemonError } from "../http/api.js";
import { type Json, list, text } from "../json.js";
import { printTasks, taskChoice } from "../service/tasks.js";
import { resolveSelf } from "./node.js";

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
    await printTasks(cli, tasks, taskChoice(flags));
  }
  if (problems.length > 0) throw new Failure(problems.join("\n"));
  return 0;
};
