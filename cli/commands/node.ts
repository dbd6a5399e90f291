// skein node …
import type { Cli } from "../cli.js";
import { Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { type Found, printInspected } from "../format/inspecting.js";
import { printListing } from "../format/listing.js";
import { naturally } from "../format/units.js";
import { DaemonError, segment } from "../http/api.js";
import { at, flag, type Json, list, number, object, text } from "../json.js";
import { forEach } from "./each.js";
import { filterQuery } from "./network.js";
import { nodeListing } from "./node-listing.js";
import { prettyNode } from "./node-pretty.js";

export const ls: Handler = async (cli, { flags }) => {
  const found = await cli.api.get("/nodes", { query: filterQuery(flags.filters()) });
  const nodes = [...list(found)].sort((a, b) =>
    naturally(text(a, "Description", "Hostname"), text(b, "Description", "Hostname")),
  );
  const info = nodes.length > 0 ? await cli.api.get("/info") : undefined;
  printListing(cli, nodeListing(info), nodes, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

export const inspect: Handler = async (cli, { args, flags }) => {
  const format = flags.text("format");
  const look = async (ref: string) =>
    cli.api.getWithText(`/nodes/${segment("node", await resolveSelf(cli, ref))}`);
  if (!flags.bool("pretty")) {
    await printInspected(cli, args, look, { format, times: ["CreatedAt", "UpdatedAt"] });
    return 0;
  }
  await printPretty(cli, args, look);
  return 0;
};

async function printPretty(
  cli: Cli,
  refs: readonly string[],
  look: (ref: string) => Promise<Found>,
): Promise<void> {
  for (const ref of refs) cli.out.write(prettyNode((await look(ref)).json));
}

export const rm: Handler = async (cli, { args, flags }) => {
  const query = flags.bool("force") ? { force: 1 } : {};
  await forEach(cli, args, async (ref) => {
    await cli.api.delete(`/nodes/${segment("node", ref)}`, { query });
    return ref;
  });
  return 0;
};

export const setAddr: Handler = async (cli, { args }) => {
  const [ref = "", addr = ""] = args;
  const path = `/skein/v1/nodes/${segment("node", ref)}/addr`;
  const set = await cli.api.post(path, { body: { Addr: addr } });
  const which = ref === "self" ? "This node" : `Node ${ref}`;
  const now = `${which} is reached at ${text(set, "Addr")}.\n`;
  const where = "Only this node dials it there until a manager that leads says the same.\n";
  cli.out.write(flag(set, "HereOnly") ? `${now}${where}` : now);
  return 0;
};

interface NodeSpec {
  readonly Labels: Record<string, Json>;
  readonly [field: string]: Json;
}

// Choice: whoever else changes the node does so a few times a second at most.
const REWRITES_MAX = 10;
const OUT_OF_SEQUENCE = /update out of sequence/;

/**
 * Reads the node, lets `change` make a new spec of its own, and writes that back. Again when the node has changed
 * in between: the managers write down on it what they learn, and most of all just after its role was changed.
 */
async function rewrite(
  cli: Cli,
  ref: string,
  change: (spec: NodeSpec, node: Json) => NodeSpec | undefined,
  query: { readonly force?: 1 } = {},
): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    try {
      return await rewriteOnce(cli, ref, change, query);
    } catch (error) {
      const isLate = error instanceof DaemonError && OUT_OF_SEQUENCE.test(error.reason);
      if (!isLate || tries === REWRITES_MAX) throw error;
    }
  }
}

async function rewriteOnce(
  cli: Cli,
  ref: string,
  change: (spec: NodeSpec, node: Json) => NodeSpec | undefined,
  query: { readonly force?: 1 },
): Promise<boolean> {
  const node = await cli.api.get(`/nodes/${segment("node", ref)}`);
  const old = object(at(node, "Spec"));
  const spec = change({ ...old, Labels: { ...object(old["Labels"]) } }, node);
  if (spec === undefined) return false;
  await cli.api.post(`/nodes/${text(node, "ID")}/update`, {
    query: { version: number(node, "Version", "Index"), ...query },
    body: spec,
  });
  return true;
}

export const update: Handler = async (cli, { args, flags }) => {
  const ref = args[0] ?? "";
  await rewrite(cli, ref, (spec) => {
    const labels = { ...spec.Labels, ...flags.map("label-add") };
    for (const key of flags.list("label-rm")) {
      if (!Object.hasOwn(labels, key)) {
        throw new Failure(`key ${key} doesn't exist in node's labels`);
      }
      delete labels[key];
    }
    return {
      ...spec,
      Labels: labels,
      ...(flags.has("role") ? { Role: flags.text("role") } : {}),
      ...(flags.has("availability") ? { Availability: flags.text("availability") } : {}),
    };
  });
  cli.out.write(`${ref}\n`);
  return 0;
};

export const promote: Handler = (cli, { args }) =>
  changeRole(cli, args, "manager", (ref) => `Node ${ref} promoted to a manager in the swarm.`);

export const demote: Handler = (cli, { args, flags }) =>
  changeRole(
    cli,
    args,
    "worker",
    (ref) => `Manager ${ref} demoted in the swarm.`,
    flags.bool("force") ? { force: 1 } : {},
  );

/** One after the other; the first that fails ends it, as with docker. */
async function changeRole(
  cli: Cli,
  refs: readonly string[],
  role: "manager" | "worker",
  done: (ref: string) => string,
  query: { readonly force?: 1 } = {},
): Promise<number> {
  for (const ref of refs) {
    let id = ref;
    const change = (spec: NodeSpec, node: Json) => {
      id = text(node, "ID");
      // Asked for already, and not done as long as it would cost the quorum: now it is insisted on.
      const insists = query.force && at(node, "ManagerStatus") !== undefined;
      return spec["Role"] === role && !insists ? undefined : { ...spec, Role: role };
    };
    const changed = await rewrite(cli, ref, change, query);
    cli.out.write(changed ? `${done(ref)}\n` : `Node ${id} is already a ${role}.\n`);
  }
  return 0;
}

/** "self" is a name for this node; the API knows ids and names only. */
export async function resolveSelf(cli: Cli, ref: string): Promise<string> {
  if (ref !== "self") return ref;
  const info = await cli.api.get("/info");
  const id = text(info, "Swarm", "NodeID");
  if (id !== "") return id;
  // Asks for what fails, to have the daemon's own words for why.
  await cli.api.get("/nodes");
  throw new Failure("node ID not found in /info");
}
