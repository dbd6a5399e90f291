// skein swarm status: what the managers say of themselves, and what that comes to.

import { toJson } from "../../common/template/value.js";
import type { Handler } from "../command.js";
import { parseObjectFormat, runFormat } from "../format/listing.js";
import { text } from "../json.js";
import { statusPage } from "../swarm/status-page.js";

export const status: Handler = async (cli, { flags }) => {
  const format = flags.bool("json") ? "json" : flags.text("format");
  const template = format === "" || format === "json" ? undefined : parseObjectFormat(format);
  const raft = await cli.api.get("/skein/v1/raft", { query: { all: true } });
  if (template !== undefined) cli.out.write(`${runFormat(template, raft)}\n`);
  else if (format === "json") cli.out.write(`${toJson(raft)}\n`);
  else cli.out.write(statusPage(raft, cli.nowMs()));
  return text(raft, "LeaderNodeID") === "" ? 1 : 0;
};
