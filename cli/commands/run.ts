// skein run, create.
import { writeFile } from "node:fs/promises";
import { messageOf } from "../../common/fault.js";
import { type Cli, Failure } from "../cli.js";
import type { Call, Handler } from "../command.js";
import { type Attaching, containerBody, whatToRun } from "../container/body.js";
import { DaemonError } from "../http/api.js";
import { pullImage } from "../image/pull.js";
import { type Json, strings, text } from "../json.js";
import { tagged } from "../service/create.js";
import { foreground } from "./foreground.js";

/** docker's exit codes: 125 for its own failures, 126 and 127 as a shell has them. */
const DAEMON_EXIT = 125;
const CANNOT_INVOKE_EXIT = 126;
const NOT_FOUND_EXIT = 127;

export const create: Handler = async (cli, call) => {
  const { flags } = call;
  const id = await ownFailures("create", () =>
    createContainer(cli, call, { stdin: flags.bool("interactive"), output: true }),
  );
  cli.out.write(`${id}\n`);
  return 0;
};

export const run: Handler = async (cli, call) => {
  const { flags } = call;
  const detached = flags.bool("detach");
  const stdin = flags.bool("interactive") && !detached;
  if (flags.bool("tty") && stdin && !cli.input.isTerminal) {
    throw new Failure("the input device is not a TTY");
  }
  const id = await ownFailures("run", () =>
    createContainer(cli, call, { stdin, output: !detached }),
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

async function createContainer(cli: Cli, call: Call, attaching: Attaching): Promise<string> {
  const { args, flags, dashed } = call;
  const what = whatToRun(args, flags, dashed);
  const name = flags.text("name");
  const platform = flags.text("platform");
  const body = await containerBody(cli, what, flags, attaching);
  const post = () =>
    cli.api.post("/containers/create", {
      query: { ...(name === "" ? {} : { name }), ...(platform === "" ? {} : { platform }) },
      body,
    });
  const pull = () =>
    pullImage(
      cli,
      { image: what.image, platform, quiet: flags.bool("quiet"), allTags: false },
      cli.err,
    );
  const answer = await withImage(cli, what.image, flags.text("pull"), post, pull);
  for (const warning of strings(answer, "Warnings")) cli.err.write(`WARNING: ${warning}\n`);
  const id = text(answer, "Id");
  if (flags.has("cidfile")) await writeNew(flags.text("cidfile"), id);
  return id;
}

/** Asks with the image that is here; what is missing is pulled, and asked for again. */
async function withImage(
  cli: Cli,
  image: string,
  when: string,
  post: () => Promise<Json>,
  pull: () => Promise<void>,
): Promise<Json> {
  if (!["always", "missing", "never"].includes(when)) {
    throw new Failure(
      `invalid pull option: '${when}': must be one of "always", "missing" or "never"`,
    );
  }
  if (image !== "" && when === "always") await pull();
  try {
    return await post();
  } catch (error) {
    const isMissing =
      error instanceof DaemonError && error.status === 404 && /no such image/i.test(error.reason);
    if (!isMissing || image === "" || when === "never") throw error;
    cli.err.write(`Unable to find image '${tagged(image)}' locally\n`);
    await pull();
    return post();
  }
}

async function writeNew(path: string, id: string): Promise<void> {
  try {
    await writeFile(path, id, { flag: "wx" });
  } catch (error) {
    throw new Failure(`failed to create the container ID file ${path}: ${messageOf(error)}`);
  }
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
