// skein network …
import { driverOption } from "../args/network-option.js";
import type { Handler } from "../command.js";
import { printInspected } from "../format/inspecting.js";
import { printListing } from "../format/listing.js";
import { naturally } from "../format/units.js";
import { DaemonError, segment } from "../http/api.js";
import { flag, type Json, list, strings, text } from "../json.js";
import { confirm } from "../term/prompt.js";
import { forEach } from "./each.js";
import { ipamConfig } from "./ipam.js";
import { networkListing } from "./network-listing.js";

export const create: Handler = async (cli, { args, flags }) => {
  const name = args[0] ?? "";
  const config = ipamConfig({
    subnets: flags.list("subnet"),
    ranges: flags.list("ip-range"),
    gateways: flags.list("gateway"),
    auxiliary: flags.map("aux-address"),
  });
  const from = flags.text("config-from");
  const answer = await cli.api.post("/networks/create", {
    body: {
      Name: name,
      CheckDuplicate: true,
      Driver: flags.text("driver"),
      Scope: flags.text("scope"),
      ...(flags.has("ipv4") ? { EnableIPv4: flags.bool("ipv4") } : {}),
      ...(flags.has("ipv6") ? { EnableIPv6: flags.bool("ipv6") } : {}),
      IPAM: {
        Driver: flags.text("ipam-driver"),
        Options: flags.map("ipam-opt"),
        Config: config,
      },
      Internal: flags.bool("internal"),
      Attachable: flags.bool("attachable"),
      Ingress: flags.bool("ingress"),
      ConfigOnly: flags.bool("config-only"),
      ConfigFrom: from === "" ? null : { Network: from },
      Options: flags.map("opt"),
      Labels: flags.map("label"),
    },
  });
  const warning = text(answer, "Warning");
  if (warning !== "") cli.err.write(`WARNING: ${warning}\n`);
  cli.out.write(`${text(answer, "Id")}\n`);
  return 0;
};

export const ls: Handler = async (cli, { flags }) => {
  const filters = flags.filters();
  const found = await cli.api.get("/networks", { query: filterQuery(filters) });
  const rows = [...list(found)].sort((a, b) => naturally(text(a, "Name"), text(b, "Name")));
  printListing(cli, networkListing(flags.bool("no-trunc")), rows, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

export const inspect: Handler = async (cli, { args, flags }) => {
  const query = flags.bool("verbose") ? { verbose: true } : {};
  const look = (ref: string) =>
    cli.api.getWithText(`/networks/${segment("network", ref)}`, { query });
  const format = flags.text("format");
  await printInspected(cli, args, look, { format, times: ["Created"] });
  return 0;
};

const INGRESS_WARNING =
  "WARNING! Before removing the routing-mesh network, make sure all the nodes in your swarm run the same skein version. " +
  "Otherwise, removal may not be effective and functionality of newly create ingress networks will be impaired.\n" +
  "Are you sure you want to continue?";

export const rm: Handler = async (cli, { args, flags }) => {
  await forEach(cli, args, async (ref) => {
    const path = `/networks/${segment("network", ref)}`;
    const network = await cli.api.get(path).catch(ignoreMissing);
    if (flag(network, "Ingress") && !(await confirm(cli, INGRESS_WARNING))) return undefined;
    try {
      await cli.api.delete(path);
    } catch (error) {
      if (flags.bool("force") && isMissing(error)) return undefined;
      throw error;
    }
    return ref;
  });
  return 0;
};

const PRUNE_WARNING =
  "WARNING! This will remove all custom networks not used by at least one container.\n" +
  "Are you sure you want to continue?";

export const prune: Handler = async (cli, { flags }) => {
  if (!flags.bool("force") && !(await confirm(cli, PRUNE_WARNING))) return 0;
  const answer = await cli.api.post("/networks/prune", { query: filterQuery(flags.filters()) });
  const deleted = strings(answer, "NetworksDeleted");
  if (deleted.length > 0) cli.out.write(`Deleted Networks:\n${deleted.join("\n")}\n\n`);
  return 0;
};

export const connect: Handler = async (cli, { args, flags }) => {
  const [network = "", container = ""] = args;
  await cli.api.post(`/networks/${segment("network", network)}/connect`, {
    body: {
      Container: container,
      EndpointConfig: {
        IPAMConfig: {
          ...optional("IPv4Address", flags.text("ip")),
          ...optional("IPv6Address", flags.text("ip6")),
          ...(flags.has("link-local-ip") ? { LinkLocalIPs: flags.list("link-local-ip") } : {}),
        },
        Links: flags.has("link") ? flags.list("link") : null,
        Aliases: flags.list("alias"),
        DriverOpts: Object.fromEntries(flags.list("driver-opt").map(driverOption)),
        GwPriority: flags.number("gw-priority"),
      },
    },
  });
  return 0;
};

export const disconnect: Handler = async (cli, { args, flags }) => {
  const [network = "", container = ""] = args;
  await cli.api.post(`/networks/${segment("network", network)}/disconnect`, {
    body: { Container: container, Force: flags.bool("force") },
  });
  return 0;
};

export function filterQuery(filters: object): { filters?: string } {
  return Object.keys(filters).length === 0 ? {} : { filters: JSON.stringify(filters) };
}

function optional(key: string, value: string): Record<string, string> {
  return value === "" ? {} : { [key]: value };
}

function isMissing(error: unknown): boolean {
  return error instanceof DaemonError && error.status === 404;
}

function ignoreMissing(error: unknown): Json {
  if (error instanceof DaemonError) return undefined;
  throw error;
}
