// skein policy …

import { WrongValue } from "../args/fields.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { type Listing, printListing } from "../format/listing.js";
import { humanDuration, naturally } from "../format/units.js";
import { segment } from "../http/api.js";
import { type Json, list, text } from "../json.js";
import { explain as judge, portsText } from "../policy/explain.js";
import { type PolicyPort, parsePolicyPorts } from "../policy/port.js";
import { forEach } from "./each.js";
import { filterQuery } from "./network.js";

const PATH = "/skein/v1/policies";
const EVERYBODY = "*";

export const allow: Handler = async (cli, { args, flags }) => {
  const [from = "", to = ""] = args;
  const answer = await cli.api.post(PATH, {
    body: {
      Network: flags.text("network"),
      From: everybody(from) ? EVERYBODY : from,
      To: to,
      Ports: flags.list("port").flatMap(parsePolicyPorts),
    },
  });
  cli.out.write(`${text(answer, "ID")}\n`);
  return 0;
};

export const ls: Handler = async (cli, { flags }) => {
  const found = list(await cli.api.get(PATH, { query: filterQuery(flags.filters()) }));
  const key = (one: Json) => [text(one, "Network"), text(one, "To"), text(one, "From")].join(" ");
  const rows = [...found].sort((a, b) => naturally(key(a), key(b)));
  printListing(cli, listing(cli, flags.bool("no-trunc")), rows, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

export const rm: Handler = async (cli, { args }) => {
  await forEach(cli, args, async (ref) => {
    await cli.api.delete(`${PATH}/${segment("policy", ref)}`);
    return ref;
  });
  return 0;
};

export const explain: Handler = async (cli, { args, flags }) => {
  const [fromRef = "", target = ""] = args;
  const { ref, port } = targetOf(target);
  const service = (name: string) => cli.api.get(`/services/${segment("service", name)}`);
  const only = flags.text("network");
  const [from, to, networks, policies] = await Promise.all([
    everybody(fromRef) ? undefined : service(fromRef),
    service(ref),
    only === ""
      ? cli.api.get("/networks", { query: filterQuery({ scope: { swarm: true } }) }).then(list)
      : cli.api.get(`/networks/${segment("network", only)}`).then((one) => [one]),
    cli.api.get(PATH).then(list),
  ]);
  const verdicts = judge({ from, to, port }, { networks, policies });
  if (verdicts.length === 0) {
    const both = from === undefined ? [nameOf(to)] : [nameOf(from), nameOf(to)];
    const where = only === "" ? "network in common" : `place on network ${only} together`;
    throw new Failure(`${both.join(" and ")} ${both.length === 1 ? "has" : "have"} no ${where}`);
  }
  for (const { allowed, network, why } of verdicts) {
    cli.out.write(`${network}: ${allowed ? "allowed" : "denied"}: ${why}\n`);
  }
  return verdicts.some(({ allowed }) => allowed) ? 0 : 1;
};

function everybody(word: string): boolean {
  return word === EVERYBODY || word === "any";
}

function targetOf(word: string): { readonly ref: string; readonly port: PolicyPort | undefined } {
  const at = word.indexOf(":");
  if (at < 0) return { ref: word, port: undefined };
  try {
    const [port] = parsePolicyPorts(word.slice(at + 1));
    return { ref: word.slice(0, at), port };
  } catch (error) {
    throw error instanceof WrongValue ? new Failure(error.message) : error;
  }
}

function nameOf(service: Json): string {
  return text(service, "Spec", "Name");
}

const ID_COLUMNS = 12;

function listing(cli: Cli, noTruncate: boolean): Listing<Json> {
  return {
    typeName: "*policy.policyContext",
    table: "{{.ID}}\t{{.Network}}\t{{.From}}\t{{.To}}\t{{.Ports}}\t{{.CreatedAt}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "ID",
      Network: "NETWORK",
      NetworkID: "NETWORK ID",
      From: "FROM",
      FromID: "FROM ID",
      To: "TO",
      ToID: "TO ID",
      Ports: "PORTS",
      CreatedAt: "CREATED",
    },
    fields: (row) => ({
      ID: () => (noTruncate ? text(row, "ID") : text(row, "ID").slice(0, ID_COLUMNS)),
      Network: () => text(row, "Network"),
      NetworkID: () => text(row, "NetworkID"),
      From: () => text(row, "From"),
      FromID: () => text(row, "FromID"),
      To: () => text(row, "To"),
      ToID: () => text(row, "ToID"),
      Ports: () => portsText(row),
      CreatedAt: () => `${humanDuration(cli.nowMs() - Date.parse(text(row, "Created")))} ago`,
    }),
  };
}
