// skein info.

import { toJson } from "../../common/template/value.js";
import { API_VERSION, SKEIN_VERSION } from "../../common/version.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { parseObjectFormat, runFormat } from "../format/listing.js";
import { type Json, object, strings } from "../json.js";
import { serverPage } from "./info-page.js";

export const info: Handler = async (cli, { flags }) => {
  const format = flags.text("format");
  const { server, failure } = await askServer(cli);
  if (format !== "") {
    // As docker's: what the agent says, with what the client is beside it.
    const client = { Version: SKEIN_VERSION, ApiVersion: API_VERSION };
    const data = { ...object(server), ClientInfo: client };
    const shown = format === "json" ? toJson(data) : runFormat(parseObjectFormat(format), data);
    cli.out.write(`${shown}\n`);
    if (failure !== undefined) throw failure;
    return 0;
  }
  cli.out.write(`Client:\n Version:    ${SKEIN_VERSION}\n Debug Mode: false\n\nServer:\n`);
  if (server === undefined) {
    throw new Failure(`${failure?.message ?? ""}\nerrors pretty printing info`);
  }
  cli.out.write(`${serverPage(server)}\n`);
  for (const warning of strings(server, "Warnings")) cli.err.write(`${warning}\n`);
  return 0;
};

async function askServer(cli: Cli): Promise<{ server?: Json; failure?: Failure }> {
  try {
    return { server: await cli.api.get("/info") };
  } catch (error) {
    if (error instanceof Failure) return { failure: error };
    throw error;
  }
}
