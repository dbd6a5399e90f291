// skein attach, detach, attachments: this machine, or a namespace that exists, on a network.

import { toJson } from "../../common/template/value.js";
import { parseNetwork } from "../args/network-option.js";
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { type Listing, parseObjectFormat, printListing, runFormat } from "../format/listing.js";
import { ellipsis } from "../format/units.js";
import { usageLine } from "../help/page.js";
import { segment } from "../http/api.js";
import { type Json, list, text } from "../json.js";
import { withProgress } from "../term/progress.js";
import { forEach } from "./each.js";
import { attachToContainer } from "./start.js";

export const attach: Handler = async (cli, { command, args, flags }) => {
  if (!flags.has("network")) {
    const [ref] = args;
    if (ref === undefined || args.length > 1) {
      const hint = `Run 'skein attach --help' for more information`;
      throw new Failure(
        `skein: 'skein attach' requires --network NETWORK, or one container to attach to\n\n${usageLine(command)}\n\n${hint}`,
      );
    }
    return attachToContainer(cli, ref, {
      stdin: !flags.bool("no-stdin"),
      sigProxy: flags.bool("sig-proxy"),
      detachKeys: flags.text("detach-keys"),
    });
  }
  if (args.length > 0) {
    throw new Failure(
      `skein attach: "${args[0]}" is one argument too many: --network puts this machine (or --netns) on a network; ` +
        `"skein network connect NETWORK CONTAINER" does it for a container`,
    );
  }
  printAttached(cli, await requestAttachment(cli, flags), flags);
  return 0;
};

async function requestAttachment(cli: Cli, flags: Values): Promise<Json> {
  const wish = parseNetwork(flags.text("network"));
  return withProgress(
    cli,
    `Attaching to ${wish.name}`,
    cli.api.post("/skein/v1/attachments", {
      body: {
        Network: wish.name,
        Netns: flags.text("netns"),
        Name: flags.text("name"),
        Interface: flags.text("interface"),
        IPv4Address: flags.text("ip") || wish.ip,
        IPv6Address: flags.text("ip6") || wish.ip6,
        Aliases: [...wish.aliases, ...flags.list("alias")],
      },
    }),
  );
}

function printAttached(cli: Cli, attachment: Json, flags: Values): void {
  const format = flags.text("format");
  if (format === "json") {
    cli.out.write(`${toJson(attachment)}\n`);
    return;
  }
  if (format !== "") {
    cli.out.write(`${runFormat(parseObjectFormat(format), attachment)}\n`);
    return;
  }
  if (flags.bool("quiet")) {
    const bare = addressesOf(attachment).map((address) => address.split("/")[0]);
    cli.out.write(`${bare.join("\n")}\n`);
    return;
  }
  const addresses = addressesOf(attachment).join(" and ");
  cli.out.write(
    `${whoOf(attachment)} is on ${text(attachment, "Network")}: ${addresses} on interface ${text(attachment, "Interface")}\n`,
  );
}

function whoOf(attachment: Json): string {
  const netns = text(attachment, "Netns");
  return netns === "" ? "This machine" : `Namespace ${netns}`;
}

function addressesOf(attachment: Json): string[] {
  return [text(attachment, "IPv4Address"), text(attachment, "IPv6Address")].filter(
    (address) => address !== "",
  );
}

export const detach: Handler = async (cli, { args }) => {
  await forEach(cli, args, async (ref) => {
    await cli.api.delete(`/skein/v1/attachments/${segment("attachment", ref)}`);
    return ref;
  });
  return 0;
};

export const ls: Handler = async (cli, { flags }) => {
  const rows = list(await cli.api.get("/skein/v1/attachments"));
  printListing(cli, attachmentListing(flags.bool("no-trunc")), rows, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

const ID_COLUMNS = 12;
const PROBLEM_COLUMNS = 40;

function attachmentListing(noTruncate: boolean): Listing<Json> {
  const field = (row: Json, name: string) => text(row, name);
  return {
    typeName: "*attachments.attachmentContext",
    table:
      "{{.ID}}\t{{.Name}}\t{{.Network}}\t{{.Netns}}\t{{.Interface}}\t{{.Address}}\t{{.Problem}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "ATTACHMENT ID",
      Name: "NAME",
      Network: "NETWORK",
      NetworkID: "NETWORK ID",
      Netns: "NAMESPACE",
      Interface: "INTERFACE",
      Address: "ADDRESS",
      IPv4Address: "IPV4 ADDRESS",
      IPv6Address: "IPV6 ADDRESS",
      MacAddress: "MAC ADDRESS",
      CreatedAt: "CREATED AT",
      Problem: "PROBLEM",
    },
    fields: (row) => ({
      ID: () => (noTruncate ? field(row, "ID") : field(row, "ID").slice(0, ID_COLUMNS)),
      Name: () => field(row, "Name"),
      Network: () => field(row, "Network"),
      NetworkID: () => field(row, "NetworkID"),
      Netns: () => field(row, "Netns") || "(this machine)",
      Interface: () => field(row, "Interface"),
      Address: () => addressesOf(row).join(", "),
      IPv4Address: () => field(row, "IPv4Address"),
      IPv6Address: () => field(row, "IPv6Address"),
      MacAddress: () => field(row, "MacAddress"),
      CreatedAt: () => field(row, "Created"),
      Problem: () =>
        noTruncate ? field(row, "Problem") : ellipsis(field(row, "Problem"), PROBLEM_COLUMNS),
    }),
  };
}
