// skein logs.
import type { Handler } from "../command.js";
import { segment } from "../http/api.js";
import { flag } from "../json.js";
import { copyOut } from "../stream/session.js";
import { interruptible } from "../term/interrupt.js";
import { logQuery, moment } from "./log-query.js";

export const logs: Handler = async (cli, { args, flags }) => {
  const path = `/containers/${segment("container", args[0] ?? "")}`;
  const tty = flag(await cli.api.get(`${path}/json`), "Config", "Tty");
  const query = {
    ...logQuery(cli, flags, flags.bool("details")),
    ...moment(cli, flags, "until"),
  };
  return interruptible(cli, async (signal) => {
    const stream = await cli.api.stream("GET", `${path}/logs`, { query, signal });
    await copyOut(cli, stream, tty);
    return 0;
  });
};
