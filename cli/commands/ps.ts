// skein ps.

import { GoTime, show } from "../../common/template/value.js";
import type { Cli } from "../cli.js";
import type { Handler } from "../command.js";
import { type Listing, printListing } from "../format/listing.js";
import { ellipsis, humanDuration, shortId } from "../format/units.js";
import { at, items, type Json, list, number, object, strings, text } from "../json.js";
import { filterQuery } from "./network.js";
import { labelText } from "./network-listing.js";

export const ps: Handler = async (cli, { flags }) => {
  const limit = flags.bool("latest") ? 1 : flags.number("last");
  const query = {
    ...(flags.bool("all") ? { all: 1 } : {}),
    ...(limit > 0 ? { limit } : {}),
    ...filterQuery(flags.filters()),
  };
  const found = await cli.api.get("/containers/json", { query });
  printListing(cli, containerListing(cli, flags.bool("no-trunc")), list(found), {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

const COMMAND_COLUMNS = 20;

function containerListing(cli: Cli, noTruncate: boolean): Listing<Json> {
  const cut = (value: string, max: number) => (noTruncate ? value : ellipsis(value, max));
  return {
    typeName: "*formatter.ContainerContext",
    table:
      "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "CONTAINER ID",
      Names: "NAMES",
      Image: "IMAGE",
      Command: "COMMAND",
      CreatedAt: "CREATED AT",
      RunningFor: "CREATED",
      Ports: "PORTS",
      State: "STATE",
      Status: "STATUS",
      Size: "SIZE",
      Labels: "LABELS",
      Mounts: "MOUNTS",
      LocalVolumes: "LOCAL VOLUMES",
      Networks: "NETWORKS",
      Platform: "PLATFORM",
    },
    fields: (row) => ({
      ID: () => (noTruncate ? text(row, "Id") : shortId(text(row, "Id"))),
      Names: () => namesOf(row).join(","),
      Image: () => text(row, "Image") || "<no image>",
      Command: () => JSON.stringify(cut(text(row, "Command"), COMMAND_COLUMNS)),
      CreatedAt: () => show(new GoTime(isoSeconds(number(row, "Created")))),
      RunningFor: () => `${humanDuration(cli.nowMs() - number(row, "Created") * 1000)} ago`,
      Ports: () => items(row, "Ports").map(portText).join(", "),
      State: () => text(row, "State"),
      Status: () => text(row, "Status"),
      Size: () => "0B",
      Labels: () => labelText(row),
      Mounts: () =>
        items(row, "Mounts")
          .map((mount) => cut(text(mount, "Name") || text(mount, "Source"), 15))
          .join(","),
      LocalVolumes: () => "0",
      Networks: () => Object.keys(object(at(row, "NetworkSettings", "Networks"))).join(","),
      Platform: () => null,
    }),
  };
}

export function namesOf(row: Json): string[] {
  return strings(row, "Names").map((name) => name.replace(/^\//, ""));
}

function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

function portText(port: Json): string {
  const inner = `${number(port, "PrivatePort")}/${text(port, "Type")}`;
  const outer = number(port, "PublicPort");
  if (outer === 0) return inner;
  const ip = text(port, "IP");
  return `${ip.includes(":") ? `[${ip}]` : ip}:${outer}->${inner}`;
}
