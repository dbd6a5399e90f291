// skein doctor: what is wrong, by node.
import { toJson } from "../../common/template/value.js";
import { Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { hasTrouble, page } from "../doctor/page.js";
import { parseObjectFormat, runFormat } from "../format/listing.js";

export const doctor: Handler = async (cli, { args, flags }) => {
  const timeout = Math.ceil(flags.nanoseconds("timeout") / 1e6);
  if (timeout < 1) throw new Failure("--timeout must be at least 1ms");
  const format = flags.bool("json") ? "json" : flags.text("format");
  const template = format === "" || format === "json" ? undefined : parseObjectFormat(format);
  const found = await cli.api.get("/skein/v1/doctor", { query: { network: args[0], timeout } });
  if (template !== undefined) cli.out.write(`${runFormat(template, found)}\n`);
  else if (format === "json") cli.out.write(`${toJson(found)}\n`);
  else cli.out.write(`${page(found, cli.nowMs())}\n`);
  return hasTrouble(found) ? 1 : 0;
};
