// skein swarm init, join, join-token, leave, update.
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { commandPage } from "../help/page.js";
import { at, flag, type Json, type JsonObject, number, object, text } from "../json.js";
import { withProgress } from "../term/progress.js";
import { parseExternalCa } from "./external-ca.js";
import { printUnlockKey } from "./swarm-keys.js";

export const init: Handler = async (cli, { flags }) => {
  const nodeId = await withProgress(
    cli,
    "Starting the swarm",
    cli.api.post("/swarm/init", {
      body: {
        ListenAddr: flags.text("listen-addr"),
        AdvertiseAddr: flags.text("advertise-addr"),
        DataPathAddr: flags.text("data-path-addr"),
        DataPathPort: flags.number("data-path-port"),
        ForceNewCluster: flags.bool("force-new-cluster"),
        Spec: withSettings({ Labels: null }, flags),
        AutoLockManagers: flags.bool("autolock"),
        Availability: chosenAvailability(flags),
        DefaultAddrPool: flags.list("default-addr-pool"),
        SubnetSize: flags.number("default-addr-pool-mask-length"),
      },
    }),
  );
  const id = typeof nodeId === "string" ? nodeId : "";
  cli.out.write(`Swarm initialized: current node (${id}) is now a manager.\n\n`);
  await printJoinCommand(cli, id, "worker");
  cli.out.write(
    "To add a manager to this swarm, run 'skein swarm join-token manager' and follow the instructions.\n",
  );
  if (flags.bool("autolock")) await printUnlockKey(cli, false);
  return 0;
};

export const join: Handler = async (cli, { args, flags }) => {
  const remote = args[0] ?? "";
  await withProgress(
    cli,
    `Joining the swarm at ${remote}`,
    cli.api.post("/swarm/join", {
      body: {
        ListenAddr: flags.text("listen-addr"),
        AdvertiseAddr: flags.text("advertise-addr"),
        DataPathAddr: flags.text("data-path-addr"),
        RemoteAddrs: [remote],
        JoinToken: flags.text("token"),
        Availability: chosenAvailability(flags),
      },
    }),
  );
  const info = await cli.api.get("/info");
  const role = flag(info, "Swarm", "ControlAvailable") ? "manager" : "worker";
  cli.out.write(`This node joined a swarm as a ${role}.\n`);
  return 0;
};

/** Empty unless given: the agent's own default is "active". */
function chosenAvailability(flags: Values): string {
  if (!flags.has("availability")) return "";
  const given = flags.text("availability");
  if (["active", "pause", "drain"].includes(given)) return given;
  throw new Failure(`invalid availability "${given}", only active, pause and drain are supported`);
}

export const joinToken: Handler = async (cli, { args, flags }) => {
  const role = args[0] ?? "";
  if (role !== "worker" && role !== "manager") throw new Failure(`unknown role ${role}`);
  const quiet = flags.bool("quiet");
  if (flags.bool("rotate")) {
    const swarm = await cli.api.get("/swarm");
    await writeSpec(cli, swarm, object(at(swarm, "Spec")), { rotate: role });
    if (!quiet) cli.out.write(`Successfully rotated ${role} join token.\n\n`);
  }
  if (quiet) {
    cli.out.write(`${tokenFor(await cli.api.get("/swarm"), role)}\n`);
    return 0;
  }
  // A worker cannot list the tokens: ask for those first, for the daemon's words about it.
  const swarm = await cli.api.get("/swarm");
  const info = await cli.api.get("/info");
  await printJoinCommand(cli, text(info, "Swarm", "NodeID"), role, swarm);
  return 0;
};

function tokenFor(swarm: Json, role: "worker" | "manager"): string {
  return text(swarm, "JoinTokens", role === "worker" ? "Worker" : "Manager");
}

async function printJoinCommand(
  cli: Cli,
  nodeId: string,
  role: "worker" | "manager",
  known?: Json,
): Promise<void> {
  const node = await cli.api.get(`/nodes/${encodeURIComponent(nodeId)}`);
  const swarm = known ?? (await cli.api.get("/swarm"));
  const addr = text(node, "ManagerStatus", "Addr");
  if (addr === "") return;
  cli.out.write(
    `To add a ${role} to this swarm, run the following command:\n\n` +
      `    skein swarm join --token ${tokenFor(swarm, role)} ${addr}\n\n`,
  );
}

export const leave: Handler = async (cli, { flags }) => {
  const query = flags.bool("force") ? { force: 1 } : {};
  await withProgress(cli, "Leaving the swarm", cli.api.post("/swarm/leave", { query }));
  cli.out.write("Node left the swarm.\n");
  return 0;
};

export const update: Handler = async (cli, { command, flags }) => {
  if (!command.flags.some((one) => flags.has(one.name))) {
    cli.out.write(commandPage(command, cli.out.columns));
    return 0;
  }
  const swarm = await cli.api.get("/swarm");
  const old = object(at(swarm, "Spec"));
  const wasLocked = flag(old, "EncryptionConfig", "AutoLockManagers");
  const port = flags.has("data-path-port") ? flags.number("data-path-port") : undefined;
  await writeSpec(cli, swarm, withSettings(old, flags), {}, port);
  if (port !== undefined) await withProgress(cli, "Moving the data path", portMoved(cli, port));
  cli.out.write("Swarm updated.\n");
  if (flags.bool("autolock") && !wasLocked) await printUnlockKey(cli, false);
  return 0;
};

// Choice: a step waits for every node; a person who looks hears of the end soon.
const MOVE_LOOK_MS = 200;

/** Resolves when every node sends to that port and takes frames on no other. */
async function portMoved(cli: Cli, port: number): Promise<void> {
  for (;;) {
    const swarm = await cli.api.get("/swarm");
    if (at(swarm, "DataPathMove") === undefined) {
      if (number(swarm, "DataPathPort") === port) return;
      const why = text(swarm, "DataPathProblem");
      const left = `The data path port stays ${number(swarm, "DataPathPort")}`;
      throw new Failure(why === "" ? `${left}: somebody changed it meanwhile.` : `${left}: ${why}`);
    }
    await new Promise((wake) => setTimeout(wake, MOVE_LOOK_MS));
  }
}

/** The spec with the settings that were given as flags. */
export function withSettings(old: JsonObject, flags: Values): JsonObject {
  const change = (
    section: string,
    flagName: string,
    field: string,
    value: () => Json,
  ): JsonObject =>
    flags.has(flagName) ? { [section]: { ...object(old[section]), [field]: value() } } : {};
  const raft = {
    ...(flags.has("snapshot-interval")
      ? { SnapshotInterval: flags.number("snapshot-interval") }
      : {}),
    ...(flags.has("max-snapshots") ? { KeepOldSnapshots: flags.number("max-snapshots") } : {}),
  };
  const ca = {
    ...(flags.has("cert-expiry") ? { NodeCertExpiry: flags.nanoseconds("cert-expiry") } : {}),
    ...(flags.has("allow-expired-renewal")
      ? { AllowExpiredRenewal: flags.nanoseconds("allow-expired-renewal") }
      : {}),
    ...(flags.has("external-ca")
      ? { ExternalCAs: flags.list("external-ca").map(parseExternalCa) }
      : {}),
  };
  return {
    ...old,
    ...change("Orchestration", "task-history-limit", "TaskHistoryRetentionLimit", () =>
      flags.number("task-history-limit"),
    ),
    ...(Object.keys(raft).length > 0 ? { Raft: { ...object(old["Raft"]), ...raft } } : {}),
    ...change("Dispatcher", "dispatcher-heartbeat", "HeartbeatPeriod", () =>
      flags.nanoseconds("dispatcher-heartbeat"),
    ),
    ...(Object.keys(ca).length > 0 ? { CAConfig: { ...object(old["CAConfig"]), ...ca } } : {}),
    ...change("EncryptionConfig", "autolock", "AutoLockManagers", () => flags.bool("autolock")),
  };
}

export interface Rotation {
  readonly rotate?: "worker" | "manager" | "unlock-key";
}

/** Writes the spec back, on the version that was read: a change in between is refused. */
export async function writeSpec(
  cli: Cli,
  swarm: Json,
  spec: object,
  { rotate }: Rotation,
  dataPathPort?: number,
): Promise<void> {
  await cli.api.post("/swarm/update", {
    query: {
      rotateManagerToken: rotate === "manager",
      rotateManagerUnlockKey: rotate === "unlock-key",
      rotateWorkerToken: rotate === "worker",
      version: number(swarm, "Version", "Index"),
      ...(dataPathPort !== undefined && { dataPathPort }),
    },
    body: spec,
  });
}
