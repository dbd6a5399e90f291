// skein service …
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { printInspected } from "../format/inspecting.js";
import { printListing } from "../format/listing.js";
import { naturally } from "../format/units.js";
import { DaemonError, segment } from "../http/api.js";
import { at, items, type Json, list, number, object, strings, text } from "../json.js";
import { serviceSpec } from "../service/create.js";
import { resolveImage } from "../service/digest.js";
import { serviceListing } from "../service/listing.js";
import { prettyService } from "../service/pretty.js";
import { waitForService } from "../service/progress.js";
import { updatedSpec } from "../service/update.js";
import { forEach } from "./each.js";
import { filterQuery } from "./network.js";

export const create: Handler = async (cli, { args, flags }) => {
  const { spec, warning } = await withDigest(cli, await serviceSpec(cli, flags, args), flags);
  const answer = await cli.api.post("/services/create", { body: spec });
  cli.err.write(warning);
  warn(cli, answer);
  const id = text(answer, "ID");
  cli.out.write(`${id}\n`);
  if (!flags.bool("detach")) await waitForService(cli, id, flags.bool("quiet"));
  return 0;
};

/** Unless --no-resolve-image, or there is no image: the spec with the image's digest and platforms. */
async function withDigest(
  cli: Cli,
  spec: object,
  flags: Values,
): Promise<{ readonly spec: object; readonly warning: string }> {
  const given = spec as Json;
  const task = object(at(given, "TaskTemplate"));
  const container = object(task["ContainerSpec"]);
  const image = text(container, "Image");
  if (flags.bool("no-resolve-image") || text(task, "Runtime") === "process") {
    return { spec, warning: "" };
  }
  const { image: exact, platforms, warning } = await resolveImage(cli, image);
  const placement = object(task["Placement"]);
  const pinned = {
    ...spec,
    TaskTemplate: {
      ...task,
      ContainerSpec: { ...container, Image: exact },
      Placement: { ...placement, ...(platforms.length > 0 ? { Platforms: platforms } : {}) },
    },
  };
  return { spec: pinned, warning };
}

function warn(cli: Cli, answer: Json): void {
  for (const line of strings(answer, "Warnings")) cli.err.write(`${line}\n`);
}

export const update: Handler = async (cli, { args, flags }) => {
  const ref = args[0] ?? "";
  const rollback = flags.bool("rollback");
  if (rollback && strays(flags).length > 0) {
    throw new Failure("other flags may not be combined with --rollback");
  }
  const service = await look(cli, ref);
  const changed = rollback
    ? object(at(service, "Spec"))
    : await updatedSpec(cli, flags, at(service, "Spec"));
  const { spec, warning } = flags.has("image")
    ? await withDigest(cli, changed, flags)
    : { spec: changed, warning: "" };
  const id = await write(
    cli,
    service,
    spec,
    rollback ? { rollback: "previous" } : { registryAuthFrom: "spec" },
  );
  cli.err.write(warning);
  cli.out.write(`${ref}\n`);
  if (!flags.bool("detach")) await waitForService(cli, id, flags.bool("quiet"));
  return 0;
};

/** What stands beside --rollback and is not about waiting. */
function strays(flags: Parameters<Handler>[1]["flags"]): readonly string[] {
  const beside = ["image", "args", "replicas", "force", "env-add", "env-rm", "network-add"];
  return beside.filter((name) => flags.has(name));
}

export const rollback: Handler = async (cli, { args, flags }) => {
  const ref = args[0] ?? "";
  const service = await look(cli, ref);
  const id = await write(cli, service, object(at(service, "Spec")), { rollback: "previous" });
  cli.out.write(`${ref}\n`);
  if (!flags.bool("detach")) await waitForService(cli, id, flags.bool("quiet"));
  return 0;
};

export const scale: Handler = async (cli, { args, flags }) => {
  const problems: string[] = [];
  const scaled: string[] = [];
  for (const word of args) {
    const at = word.indexOf("=");
    if (at < 0)
      throw new Failure(
        `invalid scale specifier '${word}'.\nSee 'skein service scale --help'.\n\nUsage:  skein service scale SERVICE=REPLICAS [SERVICE=REPLICAS...]\n\nScale one or multiple replicated services`,
      );
    const name = word.slice(0, at);
    try {
      scaled.push(await scaleOne(cli, name, word.slice(at + 1)));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      problems.push(`${name}: ${error.message}`);
    }
  }
  if (!flags.bool("detach")) {
    for (const id of scaled) await waitForService(cli, id, false);
  }
  if (problems.length > 0) throw new Failure(problems.join("\n"));
  return 0;
};

async function scaleOne(cli: Cli, name: string, count: string): Promise<string> {
  if (!/^\d+$/.test(count)) {
    throw new Failure(
      `invalid replicas value ${count}: strconv.ParseUint: parsing "${count}": invalid syntax`,
    );
  }
  const service = await look(cli, name);
  const mode = object(at(service, "Spec", "Mode"));
  const replicas = Number(count);
  const job = mode["ReplicatedJob"];
  if (mode["Replicated"] === undefined && job === undefined) {
    throw new Failure("scale can only be used with replicated or replicated-job mode");
  }
  const scaled =
    job === undefined
      ? { Replicated: { Replicas: replicas } }
      : { ReplicatedJob: { ...object(job), TotalCompletions: replicas } };
  const spec = { ...object(at(service, "Spec")), Mode: scaled };
  const id = await write(cli, service, spec, {});
  cli.out.write(`${name} scaled to ${replicas}\n`);
  return id;
}

async function look(cli: Cli, ref: string): Promise<Json> {
  const query = { insertDefaults: false };
  return cli.api.get(`/services/${segment("service", ref)}`, { query });
}

async function write(
  cli: Cli,
  service: Json,
  body: object,
  query: Record<string, string>,
): Promise<string> {
  const id = text(service, "ID");
  const version = number(service, "Version", "Index");
  const answer = await cli.api.post(`/services/${id}/update`, {
    query: { ...query, version },
    body,
  });
  warn(cli, answer);
  return id;
}

export const rm: Handler = async (cli, { args }) => {
  await forEach(cli, args, async (ref) => {
    await cli.api.delete(`/services/${segment("service", ref)}`);
    return ref;
  });
  return 0;
};

export const ls: Handler = async (cli, { flags }) => {
  const query = { ...filterQuery(flags.filters()), status: true };
  const found = await cli.api.get("/services", { query });
  const rows = [...list(found)].sort((a, b) =>
    naturally(text(a, "Spec", "Name"), text(b, "Spec", "Name")),
  );
  printListing(cli, serviceListing(), rows, {
    format: flags.text("format"),
    quiet: flags.bool("quiet"),
  });
  return 0;
};

export const inspect: Handler = async (cli, { args, flags }) => {
  const lookAt = async (ref: string) => {
    try {
      const path = `/services/${segment("service", ref)}`;
      return await cli.api.getWithText(path, { query: { insertDefaults: flags.bool("pretty") } });
    } catch (error) {
      const isMissing = error instanceof DaemonError && error.status === 404;
      throw isMissing ? new Failure(`Error: no such service: ${ref}`) : error;
    }
  };
  if (!flags.bool("pretty")) {
    const format = flags.text("format");
    await printInspected(cli, args, lookAt, { format, times: ["CreatedAt", "UpdatedAt"] });
    return 0;
  }
  for (const ref of args) {
    const service = (await lookAt(ref)).json;
    cli.out.write(prettyService(service, await networkNames(cli, service), cli.nowMs()));
  }
  return 0;
};

async function networkNames(cli: Cli, service: Json): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for (const one of items(service, "Spec", "TaskTemplate", "Networks")) {
    const id = text(one, "Target");
    const path = `/networks/${encodeURIComponent(id)}`;
    const network = await cli.api.get(path, { query: { scope: "swarm" } }).catch(() => undefined);
    names.set(id, text(network, "Name") || id);
  }
  return names;
}
