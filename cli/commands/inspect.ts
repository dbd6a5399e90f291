// skein inspect: whatever has the name. The kinds are tried in order; the first that has it is shown.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { type Found, printInspected } from "../format/inspecting.js";
import { DaemonError, segment } from "../http/api.js";

const KINDS = [
  { type: "container", path: (ref: string) => `/containers/${ref}/json` },
  { type: "image", path: (ref: string) => `/images/${ref.replaceAll("%2F", "/")}/json` },
  { type: "network", path: (ref: string) => `/networks/${ref}` },
  { type: "volume", path: (ref: string) => `/volumes/${ref}` },
  { type: "service", path: (ref: string) => `/services/${ref}` },
  { type: "task", path: (ref: string) => `/tasks/${ref}` },
  { type: "node", path: (ref: string) => `/nodes/${ref}` },
  { type: "secret", path: (ref: string) => `/secrets/${ref}` },
  { type: "config", path: (ref: string) => `/configs/${ref}` },
] as const;

export const inspect: Handler = async (cli, { args, flags }) => {
  const type = flags.text("type");
  const kinds = KINDS.filter((kind) => type === "" || kind.type === type);
  if (kinds.length === 0) {
    const known = KINDS.map((kind) => `"${kind.type}"`).join(", ");
    throw new Failure(`unknown type: "${type}": must be one of ${known}`);
  }
  const look = (ref: string) => firstFound(cli, ref, kinds);
  await printInspected(cli, args, look, { format: flags.text("format"), times: [] });
  return 0;
};

async function firstFound(
  cli: Cli,
  ref: string,
  kinds: readonly (typeof KINDS)[number][],
): Promise<Found> {
  const name = segment("object", ref);
  for (const kind of kinds) {
    try {
      return await cli.api.getWithText(kind.path(name));
    } catch (error) {
      if (!(error instanceof DaemonError) || !meansNotHere(error)) throw error;
      if (kinds.length === 1) throw error;
    }
  }
  throw new Failure(`Error: No such object: ${ref}`);
}

/** Not of this kind, or of a kind that this node cannot look up at all (no swarm, a worker). */
function meansNotHere(error: DaemonError): boolean {
  return error.status === 404 || error.status === 503;
}

export const inspectContainer: Handler = async (cli, { args, flags }) => {
  const look = (ref: string) =>
    cli.api.getWithText(`/containers/${segment("container", ref)}/json`);
  await printInspected(cli, args, look, { format: flags.text("format"), times: [] });
  return 0;
};
