// skein swarm unlock, unlock-key.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { at, object, text } from "../json.js";
import { askSecret } from "../term/prompt.js";

export const unlock: Handler = async (cli) => {
  const state = text(await cli.api.get("/info"), "Swarm", "LocalNodeState");
  if (state === "inactive") throw new Failure("Error: This node is not part of a swarm");
  if (state !== "locked") throw new Failure("Error: swarm is not locked");
  const key = await askSecret(cli, "Enter unlock key: ");
  await cli.api.post("/swarm/unlock", { body: { UnlockKey: key } });
  return 0;
};

export const unlockKey: Handler = async (cli, { flags }) => {
  const quiet = flags.bool("quiet");
  if (flags.bool("rotate")) {
    const { writeSpec } = await import("./swarm.js");
    const swarm = await cli.api.get("/swarm");
    const spec = object(at(swarm, "Spec"));
    if (at(spec, "EncryptionConfig", "AutoLockManagers") !== true) {
      throw new Failure("cannot rotate because autolock is not turned on");
    }
    await writeSpec(cli, swarm, spec, { rotate: "unlock-key" });
    if (!quiet) cli.out.write("Successfully rotated manager unlock key.\n");
  }
  await printUnlockKey(cli, quiet);
  return 0;
};

export async function printUnlockKey(cli: Cli, quiet: boolean): Promise<void> {
  const key = text(await cli.api.get("/swarm/unlockkey"), "UnlockKey");
  if (key === "") throw new Failure("no unlock key is set");
  if (quiet) {
    cli.out.write(`${key}\n`);
    return;
  }
  cli.out.write(
    "To unlock a swarm manager after it restarts, run the `skein swarm unlock`\n" +
      "command and provide the following key:\n\n" +
      `    ${key}\n\n` +
      "Remember to store this key in a password manager, since without it you\n" +
      "will not be able to restart the manager.\n",
  );
}
