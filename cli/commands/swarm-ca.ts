// skein swarm ca. The words are docker/cli's (cli/command/swarm/ca.go).
import { readFile } from "node:fs/promises";
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { fileWords } from "../file-words.js";
import { at, type Json, list, number, object, text } from "../json.js";
import { waitForRoot } from "../swarm/root-rotation.js";
import { withSettings, writeSpec } from "./swarm.js";

export const ca: Handler = async (cli, { flags }) => {
  const swarm = await cli.api.get("/swarm");
  if (!flags.bool("rotate")) {
    for (const name of ["ca-cert", "ca-key", "cert-expiry", "external-ca"]) {
      if (flags.has(name))
        throw new Failure(`\`--${name}\` flag requires the \`--rotate\` flag to update the CA`);
    }
    printRoot(cli, swarm);
    return 0;
  }
  refuseCombinations(flags);
  const spec = withSettings(object(at(swarm, "Spec")), flags);
  const config = object(spec["CAConfig"]);
  const cert = await readPem(flags.text("ca-cert"));
  const key = await readPem(flags.text("ca-key"));
  const isBrought = cert !== "" || key !== "";
  const CAConfig = {
    ...config,
    ...(isBrought
      ? { SigningCACert: cert, SigningCAKey: key }
      : { ForceRotate: number(config, "ForceRotate") + 1 }),
  };
  await writeSpec(cli, swarm, { ...spec, CAConfig }, {});
  if (flags.bool("detach")) return 0;
  const rotated = await waitForRoot(cli, flags.bool("quiet"));
  if (rotated !== undefined) printRoot(cli, rotated);
  return 0;
};

function refuseCombinations(flags: Values): void {
  const external = list(flags.list("external-ca")).length > 0;
  if (external && !flags.has("ca-cert")) {
    throw new Failure(
      "rotating to an external CA requires the `--ca-cert` flag to specify the external CA's cert - " +
        "to add an external CA with the current root CA certificate, use the `update` command instead",
    );
  }
  if (flags.has("ca-cert") && !external && !flags.has("ca-key")) {
    throw new Failure(
      "the --ca-cert flag requires that a --ca-key flag and/or --external-ca flag be provided as well",
    );
  }
}

function printRoot(cli: Cli, swarm: Json): void {
  const root = text(swarm, "TLSInfo", "TrustRoot");
  if (root === "") throw new Failure("No CA information available");
  cli.out.write(`${root.trim()}\n`);
}

async function readPem(path: string): Promise<string> {
  if (path === "") return "";
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Failure(`cannot read ${path}: ${fileWords(error)}`);
  }
}
