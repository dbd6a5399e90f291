// skein exec.

import { environment } from "../args/environment.js";
import { Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { segment } from "../http/api.js";
import { number, text } from "../json.js";
import { parseDetachKeys } from "../stream/detach-keys.js";
import { Session } from "../stream/session.js";

export const exec: Handler = async (cli, { args, flags }) => {
  const [ref = "", ...words] = args;
  const command = words[0] === "--" ? words.slice(1) : words;
  const detached = flags.bool("detach");
  const stdin = flags.bool("interactive") && !detached;
  const tty = flags.bool("tty");
  const detachKeys = parseDetachKeys(flags.text("detach-keys"));
  if (tty && stdin && !cli.input.isTerminal) throw new Failure("the input device is not a TTY");
  const env = await environment(cli, flags);
  const path = `/containers/${segment("container", ref)}`;
  // Asked first so that a wrong name is an error of its own, before anything is made.
  await cli.api.get(`${path}/json`);
  const created = await cli.api.post(`${path}/exec`, {
    body: {
      User: flags.text("user"),
      Privileged: flags.bool("privileged"),
      Tty: tty,
      ...(tty && cli.out.isTerminal ? { ConsoleSize: [cli.out.rows, cli.out.columns] } : {}),
      AttachStdin: stdin,
      AttachStdout: !detached,
      AttachStderr: !detached,
      Detach: detached,
      DetachKeys: flags.text("detach-keys"),
      Env: env.length === 0 ? null : env,
      WorkingDir: flags.text("workdir"),
      Cmd: command,
    },
  });
  const execPath = `/exec/${text(created, "Id")}`;
  const body = { Detach: detached, Tty: tty };
  if (detached) {
    await cli.api.post(`${execPath}/start`, { body });
    return 0;
  }
  const socket = await cli.api.hijack(`${execPath}/start`, { body });
  const session = new Session(cli, socket, {
    tty,
    stdin,
    detachKeys,
    resize: (h, w) => cli.api.post(`${execPath}/resize`, { query: { h, w } }),
  });
  if ((await session.run()) === "detached") {
    throw new Failure("exec attach failed: read escape sequence");
  }
  return number(await cli.api.get(`${execPath}/json`), "ExitCode");
};
