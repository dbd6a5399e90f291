// skein stop, restart, pause, unpause, kill, rm, prune, rename, wait.
import type { Values } from "../args/values.js";
import type { Handler } from "../command.js";
import { DaemonError, type Query, segment } from "../http/api.js";
import { size } from "../image/progress.js";
import { number, strings } from "../json.js";
import { confirm } from "../term/prompt.js";
import { forEach } from "./each.js";
import { filterQuery } from "./network.js";

function path(ref: string, action = ""): string {
  return `/containers/${segment("container", ref)}${action}`;
}

function stopQuery(flags: Values): Query {
  return {
    ...(flags.has("signal") ? { signal: flags.text("signal") } : {}),
    ...(flags.has("timeout") ? { t: flags.number("timeout") } : {}),
  };
}

export const stop: Handler = async (cli, { args, flags }) => {
  await forEach(cli, args, async (ref) => {
    await cli.api.post(path(ref, "/stop"), { query: stopQuery(flags) });
    return ref;
  });
  return 0;
};

export const restart: Handler = async (cli, { args, flags }) => {
  await forEach(cli, args, async (ref) => {
    await cli.api.post(path(ref, "/restart"), { query: stopQuery(flags) });
    return ref;
  });
  return 0;
};

const each =
  (action: string): Handler =>
  async (cli, { args }) => {
    await forEach(cli, args, async (ref) => {
      await cli.api.post(path(ref, action));
      return ref;
    });
    return 0;
  };
export const pause = each("/pause");
export const unpause = each("/unpause");

const PRUNE_WARNING =
  "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?";

export const prune: Handler = async (cli, { flags }) => {
  if (!flags.bool("force") && !(await confirm(cli, PRUNE_WARNING))) return 0;
  const answer = await cli.api.post("/containers/prune", { query: filterQuery(flags.filters()) });
  const removed = strings(answer, "ContainersDeleted");
  if (removed.length > 0) cli.out.write(`Deleted Containers:\n${removed.join("\n")}\n\n`);
  cli.out.write(`Total reclaimed space: ${size(number(answer, "SpaceReclaimed"))}\n`);
  return 0;
};

export const kill: Handler = async (cli, { args, flags }) => {
  const query = flags.has("signal") ? { signal: flags.text("signal") } : {};
  await forEach(cli, args, async (ref) => {
    await cli.api.post(path(ref, "/kill"), { query });
    return ref;
  });
  return 0;
};

export const rm: Handler = async (cli, { args, flags }) => {
  const force = flags.bool("force");
  const query = { ...(force ? { force: 1 } : {}), ...(flags.bool("volumes") ? { v: 1 } : {}) };
  await forEach(cli, args, async (ref) => {
    try {
      await cli.api.delete(path(ref), { query });
    } catch (error) {
      // With --force, what is gone already is what was asked for; it is still said.
      if (!force || !(error instanceof DaemonError) || error.status !== 404) throw error;
      cli.err.write(`${error.message}\n`);
      return undefined;
    }
    return ref;
  });
  return 0;
};

export const rename: Handler = async (cli, { args }) => {
  const [ref = "", name = ""] = args;
  await cli.api.post(path(ref, "/rename"), { query: { name } });
  return 0;
};

export const wait: Handler = async (cli, { args }) => {
  await forEach(cli, args, async (ref) => {
    const answer = await cli.api.post(path(ref, "/wait"));
    return String(number(answer, "StatusCode"));
  });
  return 0;
};
