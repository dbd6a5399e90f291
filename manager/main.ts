// skein-manager: an ordinary user's process with nothing but its state folder and a socket. It is told
// what to do by the node's agent, which it outlives: an agent that was killed finds it again.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { systemClock } from "../common/clock.js";
import { Closing } from "../common/closing.js";
import { Fault, messageOf } from "../common/fault.js";
import { giveBackWhenIdle } from "../common/idle-memory.js";
import { createLogger, type Logger } from "../common/log.js";
import { systemRandom } from "../common/random.js";
import { DEFAULT_TIMING, stretched } from "../common/timing.js";
import { SKEIN_VERSION } from "../common/version.js";
import { managerDisk } from "./disk/identity-file.js";
import { Keyring } from "./disk/keyring.js";
import { openStateDir, type StateDir } from "./disk/state-dir.js";
import { failureSentence } from "./failure-words.js";
import { openLocalSocket } from "./grpc/sockets.js";
import { Manager } from "./manager.js";
import { Seat } from "./seat.js";

const USAGE = `Usage: skein-manager [OPTIONS]

      --state-dir DIR     What this manager keeps (default /var/lib/skein/manager)
      --run-dir DIR       Where its socket manager.sock is (default /run/skein/manager)
      --log-level LEVEL   trace, debug, info, warn, error (default info)
      --time-scale N      Stretch every timeout N times, 1 to 100, for slow machines; how often
                          nodes are heard is the swarm's to say, on all managers
                          alike: swarm update --dispatcher-heartbeat
      --allow-root        Run as root all the same
      --version           Print the version
      --help              Print this
`;

interface Settings {
  readonly stateDir: string;
  readonly runDir: string;
  readonly logLevel: string;
  readonly scale: number;
  readonly allowRoot: boolean;
}

/** Settings, a text to print, or a text that says what is wrong. */
function settingsOf(
  args: readonly string[],
): Settings | { readonly print: string } | { readonly wrong: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "state-dir": { type: "string", default: "/var/lib/skein/manager" },
        "run-dir": { type: "string", default: "/run/skein/manager" },
        "log-level": { type: "string", default: "info" },
        "time-scale": { type: "string", default: "1" },
        "allow-root": { type: "boolean", default: false },
        version: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) return { print: USAGE };
    if (values.version) return { print: `skein-manager ${SKEIN_VERSION}\n` };
    const scale = Number(values["time-scale"]);
    if (!(scale >= 1 && scale <= 100)) return { wrong: "--time-scale must be 1 to 100" };
    return {
      stateDir: resolve(values["state-dir"]),
      runDir: resolve(values["run-dir"]),
      logLevel: values["log-level"],
      scale,
      allowRoot: values["allow-root"],
    };
  } catch (error) {
    return { wrong: messageOf(error) };
  }
}

async function run(settings: Settings, log: Logger): Promise<void> {
  const closing = new Closing(log);
  let exiting = false;
  const exit = (code: number) => {
    if (exiting) return;
    exiting = true;
    const timing = stretched(DEFAULT_TIMING, settings.scale);
    setTimeout(() => process.exit(code), timing.graceMs).unref();
    void closing.closeAll().then(() => process.exit(code));
  };
  const { dir, keys, unusable } = await openFolder(settings.stateDir);
  closing.push("state folder", () => dir.close());
  const timing = stretched(DEFAULT_TIMING, settings.scale);
  const base = { clock: systemClock, random: systemRandom, timing, log };
  const { scale } = settings;
  const manager = new Manager({
    ...base,
    disk: managerDisk(dir, keys),
    openSeat: (events, identity, tls) =>
      Seat.open({ ...base, ...events, dir, keys, scale }, identity, tls),
    exit,
  });
  await mkdir(settings.runDir, { recursive: true, mode: 0o700 });
  const socket = join(settings.runDir, "manager.sock");
  if (unusable) manager.refuseToStart(unusable);
  else manager.resume();
  const close = await openLocalSocket(socket, manager.api(), () => manager.control(), log);
  closing.push("socket", close);
  closing.push("manager", () => manager.close());
  const stopGivingBack = giveBackWhenIdle(systemClock);
  closing.push("idle memory", async () => stopGivingBack());
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => exit(0));
  log.info({ socket, stateDir: settings.stateDir, version: SKEIN_VERSION }, "manager started");
}

/** A folder of another release, or without its keys, is not touched: the process then only says why it does not run. */
async function openFolder(
  path: string,
): Promise<{ dir: StateDir; keys: Keyring; unusable?: Fault }> {
  let dir: StateDir = { path, erase: async () => {}, close: async () => {} };
  try {
    dir = await openStateDir(path);
    return { dir, keys: await Keyring.open(dir) };
  } catch (error) {
    const known = error instanceof Fault && ["STATE_VERSION", "KEY_DAMAGED"].includes(error.code);
    if (!known) throw error;
    return { dir, keys: Keyring.none(dir), unusable: error };
  }
}

async function main(): Promise<void> {
  const settings = settingsOf(process.argv.slice(2));
  if ("print" in settings) {
    process.stdout.write(settings.print);
    return;
  }
  if ("wrong" in settings) {
    process.stderr.write(`skein-manager: ${settings.wrong}\nSee 'skein-manager --help'.\n`);
    process.exitCode = 2;
    return;
  }
  // The library writes what it finds noteworthy to standard error by itself; we log it, once, as ours.
  setLogVerbosity(logVerbosity.NONE);
  const log = createLogger("skein-manager", settings.logLevel);
  if (process.geteuid?.() === 0 && !settings.allowRoot) {
    process.stderr.write(
      "skein-manager: it is meant to run as an ordinary user and refuses to run as root; --allow-root insists\n",
    );
    process.exitCode = 1;
    return;
  }
  if (process.geteuid?.() === 0) log.warn({}, "running as root, which a manager does not need");
  await run(settings, log);
}

main().catch((error: unknown) => {
  process.stderr.write(`skein-manager: ${failureSentence(error)}\n`);
  process.exit(1);
});
