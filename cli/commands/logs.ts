// skein logs.
import type { Handler } from "../command.js";
import { segment } from "../http/api.js";
import { flag } from "../json.js";
import { copyOut } from "../stream/session.js";
import { interruptible } from "../term/interrupt.js";
import { apiTimestamp } from "./times.js";

export const logs: Handler = async (cli, { args, flags }) => {
  const path = `/containers/${segment("container", args[0] ?? "")}`;
  const tty = flag(await cli.api.get(`${path}/json`), "Config", "Tty");
  const when = (name: string) =>
    flags.has(name) ? { [name]: apiTimestamp(flags.text(name), cli.nowMs()) } : {};
  const on = (name: string) => (flags.bool(name) ? { [name]: 1 } : {});
  const query = {
    ...on("details"),
    ...on("follow"),
    ...when("since"),
    stderr: 1,
    stdout: 1,
    tail: flags.text("tail"),
    ...on("timestamps"),
    ...when("until"),
  };
  return interruptible(cli, async (signal) => {
    const stream = await cli.api.stream("GET", `${path}/logs`, { query, signal });
    await copyOut(cli, stream, tty);
    return 0;
  });
};
