// skein volume …
import type { Handler } from "../command.js";
import { printInspected } from "../format/inspecting.js";
import { type Listing, printListing } from "../format/listing.js";
import { naturally } from "../format/units.js";
import { DaemonError, segment } from "../http/api.js";
import { size } from "../image/progress.js";
import { items, type Json, number, strings, text } from "../json.js";
import { confirm } from "../term/prompt.js";
import { forEach } from "./each.js";
import { filterQuery } from "./network.js";
import { labelText } from "./network-listing.js";

export const create: Handler = async (cli, { args, flags }) => {
  const answer = await cli.api.post("/volumes/create", {
    body: {
      Name: args[0] ?? "",
      Driver: flags.text("driver"),
      DriverOpts: flags.map("opt"),
      Labels: flags.map("label"),
    },
  });
  cli.out.write(`${text(answer, "Name")}\n`);
  return 0;
};

export const ls: Handler = async (cli, { flags }) => {
  const found = await cli.api.get("/volumes", { query: filterQuery(flags.filters()) });
  const rows = [...items(found, "Volumes")].sort((a, b) =>
    naturally(text(a, "Name"), text(b, "Name")),
  );
  printListing(cli, volumeListing, rows, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

const volumeListing: Listing<Json> = {
  typeName: "*formatter.volumeContext",
  table: "{{.Driver}}\t{{.Name}}",
  quiet: "{{.Name}}",
  headers: {
    Driver: "DRIVER",
    Name: "VOLUME NAME",
    Scope: "SCOPE",
    Mountpoint: "MOUNTPOINT",
    Labels: "LABELS",
  },
  fields: (row) => ({
    Driver: () => text(row, "Driver"),
    Name: () => text(row, "Name"),
    Scope: () => text(row, "Scope"),
    Mountpoint: () => text(row, "Mountpoint"),
    Labels: () => labelText(row),
  }),
};

export const inspect: Handler = async (cli, { args, flags }) => {
  const look = (ref: string) => cli.api.getWithText(`/volumes/${segment("volume", ref)}`);
  await printInspected(cli, args, look, { format: flags.text("format"), times: [] });
  return 0;
};

export const rm: Handler = async (cli, { args, flags }) => {
  const force = flags.bool("force");
  await forEach(cli, args, async (ref) => {
    try {
      const query = force ? { force: 1 } : {};
      await cli.api.delete(`/volumes/${segment("volume", ref)}`, { query });
    } catch (error) {
      const isGone = error instanceof DaemonError && error.status === 404;
      if (!force || !isGone) throw error;
    }
    return ref;
  });
  return 0;
};

export const prune: Handler = async (cli, { flags }) => {
  const all = flags.bool("all");
  const what = all
    ? "WARNING! This will remove all local volumes not used by at least one container."
    : "WARNING! This will remove anonymous local volumes not used by at least one container.";
  const question = `${what}\nAre you sure you want to continue?`;
  if (!flags.bool("force") && !(await confirm(cli, question))) return 0;
  const filters = { ...flags.filters(), ...(all ? { all: { true: true } } : {}) };
  const answer = await cli.api.post("/volumes/prune", { query: filterQuery(filters) });
  const removed = strings(answer, "VolumesDeleted");
  if (removed.length > 0) cli.out.write(`Deleted Volumes:\n${removed.join("\n")}\n\n`);
  cli.out.write(`Total reclaimed space: ${size(number(answer, "SpaceReclaimed"))}\n`);
  return 0;
};
