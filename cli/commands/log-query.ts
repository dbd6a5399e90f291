// What `skein logs` and `skein service logs` ask the API for, by the flags that both have.
import type { Values } from "../args/values.js";
import type { Cli } from "../cli.js";
import { apiTimestamp } from "./times.js";

export function logQuery(cli: Cli, flags: Values, details: boolean) {
  const on = (name: string) => (flags.bool(name) ? { [name]: 1 } : {});
  return {
    ...(details ? { details: 1 } : {}),
    ...on("follow"),
    ...moment(cli, flags, "since"),
    stderr: 1,
    stdout: 1,
    tail: flags.text("tail"),
    ...on("timestamps"),
  };
}

/** Of a flag that names a moment; nothing when it is not given. */
export function moment(cli: Cli, flags: Values, name: string): Readonly<Record<string, string>> {
  return flags.has(name) ? { [name]: apiTimestamp(flags.text(name), cli.nowMs()) } : {};
}
