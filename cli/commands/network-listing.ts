// The columns of `skein network ls`.

import { GoTime, show } from "../../common/template/value.js";
import type { Listing } from "../format/listing.js";
import { shortId } from "../format/units.js";
import { at, type Json, object, text } from "../json.js";

export function networkListing(noTruncate: boolean): Listing<Json> {
  const id = (row: Json) => (noTruncate ? text(row, "Id") : shortId(text(row, "Id")));
  return {
    typeName: "*network.networkContext",
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "NETWORK ID",
      Name: "NAME",
      Driver: "DRIVER",
      Scope: "SCOPE",
      IPv4: "IPV4",
      IPv6: "IPV6",
      Internal: "INTERNAL",
      Labels: "LABELS",
      CreatedAt: "CREATED AT",
    },
    fields: (row) => ({
      ID: () => id(row),
      Name: () => text(row, "Name"),
      Driver: () => text(row, "Driver"),
      Scope: () => text(row, "Scope"),
      IPv4: () => String(at(row, "EnableIPv4") === true),
      IPv6: () => String(at(row, "EnableIPv6") === true),
      Internal: () => String(at(row, "Internal") === true),
      Labels: () => labelText(row),
      CreatedAt: () => show(new GoTime(text(row, "Created"))),
    }),
  };
}

/** Docker shows the labels of a list's row as one string. */
export function labelText(row: Json): string {
  return Object.entries(object(at(row, "Labels")))
    .map(([key, value]) => `${key}=${show(value)}`)
    .sort()
    .join(",");
}
