// skein run, create.
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { DaemonError } from "../http/api.js";
import { strings, text } from "../json.js";
import { type Attaching, containerBody } from "./container-spec.js";
import { foreground } from "./foreground.js";

/** docker's exit codes: 125 for its own failures, 126 and 127 as a shell has them. */
const DAEMON_EXIT = 125;
const CANNOT_INVOKE_EXIT = 126;
const NOT_FOUND_EXIT = 127;

export const create: Handler = async (cli, { args, flags }) => {
  const id = await ownFailures("create", () =>
    createContainer(cli, args, flags, { stdin: flags.bool("interactive"), output: true }),
  );
  cli.out.write(`${id}\n`);
  return 0;
};

export const run: Handler = async (cli, { args, flags }) => {
  const detached = flags.bool("detach");
  const stdin = flags.bool("interactive") && !detached;
  if (flags.bool("tty") && stdin && !cli.input.isTerminal) {
    throw new Failure("the input device is not a TTY");
  }
  const id = await ownFailures("run", () =>
    createContainer(cli, args, flags, { stdin, output: !detached }),
  );
  const begin = () =>
    ownFailures("run", async () => {
      await cli.api.post(`/containers/${id}/start`);
    });
  if (detached) {
    cli.out.write(`${id}\n`);
    await begin();
    return 0;
  }
  return foreground(cli, {
    id,
    tty: flags.bool("tty"),
    stdin,
    detachKeys: flags.text("detach-keys"),
    sigProxy: flags.bool("sig-proxy"),
    waitFor: flags.bool("rm") ? "removed" : "next-exit",
    begin,
  });
};

async function createContainer(
  cli: Cli,
  args: readonly string[],
  flags: Values,
  attaching: Attaching,
): Promise<string> {
  const name = flags.text("name");
  const answer = await cli.api.post("/containers/create", {
    query: name === "" ? {} : { name },
    body: await containerBody(cli, args, flags, attaching),
  });
  for (const warning of strings(answer, "Warnings")) cli.err.write(`WARNING: ${warning}\n`);
  return text(answer, "Id");
}

/** Tells a failure to run from a failure of what was run, as docker does. */
async function ownFailures<T>(command: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const hint = `Run 'skein ${command} --help' for more information`;
    throw new Failure(`skein: ${error.message}\n\n${hint}`, exitCodeOf(error));
  }
}

function exitCodeOf(error: Failure): number {
  if (!(error instanceof DaemonError)) return DAEMON_EXIT;
  const reason = error.reason.toLowerCase();
  if (/executable file not found|no such file or directory|system cannot find/.test(reason)) {
    return NOT_FOUND_EXIT;
  }
  if (/permission denied|is a directory|exec format error/.test(reason)) return CANNOT_INVOKE_EXIT;
  return DAEMON_EXIT;
}
