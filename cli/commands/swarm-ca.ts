// skein swarm ca.
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../common/fault.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { at, flag, type Json, number, object, text } from "../json.js";
import { interruptible } from "../term/interrupt.js";
import { withProgress } from "../term/progress.js";
import { withSettings, writeSpec } from "./swarm.js";

const POLL_MS = 500;

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
  const spec = withSettings(object(at(swarm, "Spec")), flags);
  const config = object(spec["CAConfig"]);
  const cert = await readPem(flags.text("ca-cert"));
  const key = await readPem(flags.text("ca-key"));
  await writeSpec(
    cli,
    swarm,
    {
      ...spec,
      CAConfig: {
        ...config,
        SigningCACert: cert,
        SigningCAKey: key,
        ForceRotate: number(config, "ForceRotate") + 1,
      },
    },
    {},
  );
  if (flags.bool("detach")) return 0;
  const rotated = await interruptible(cli, (signal) => {
    const work = converged(cli, signal);
    return flags.bool("quiet") ? work : withProgress(cli, "Rotating the root CA", work);
  });
  if (!flags.bool("quiet")) printRoot(cli, rotated);
  return 0;
};

/** The swarm once every node has a certificate of the new root. */
async function converged(cli: Cli, signal: AbortSignal): Promise<Json> {
  for (;;) {
    const swarm = await cli.api.get("/swarm", { signal });
    if (!flag(swarm, "RootRotationInProgress")) return swarm;
    await sleep(POLL_MS, undefined, { signal });
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
    throw new Failure(`cannot read ${path}: ${messageOf(error)}`);
  }
}
