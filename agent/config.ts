// The agent's settings: flags over an optional JSON file over defaults. Text in, settings or a
// sentence out; looking things up on the machine (users, files) is given as arguments.
import { parseArgs } from "node:util";
import { parseHostPort } from "../common/address.js";
import { DEFAULT_TIMING, stretched, type Timing } from "../common/timing.js";

export interface AgentSettings {
  /** Identity, journal, containers; mode 0700. `manager/` in it belongs to the manager's user. */
  readonly stateDir: string;
  /** What need not outlive a reboot: sockets, sandboxes' files. */
  readonly runDir: string;
  readonly socketPath: string;
  readonly hostname: string;
  /** Who may open the socket besides root; ignored when the machine has no such group. */
  readonly group: string;
  /** Who runs the manager process. */
  readonly managerUser: string;
  /** The systemd unit to start instead of a child process; empty: a child process. */
  readonly managerUnit: string;
  readonly logLevel: string;
  readonly timeScale: number;
  readonly timing: Timing;
  /** "127.0.0.1:9323"; empty: metrics are on the local socket only. */
  readonly metricsAddr: string;
}

export type Command =
  | { readonly kind: "run"; readonly settings: AgentSettings }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "wrong"; readonly message: string };

export const DEFAULT_CONFIG_PATH = "/etc/skein/config.json";
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

const FLAGS = {
  "state-dir": "/var/lib/skein",
  "run-dir": "/run/skein",
  socket: "",
  hostname: "",
  group: "skein",
  "manager-user": "skein",
  "manager-unit": "",
  "log-level": "info",
  "time-scale": "1",
  "metrics-addr": "",
} as const;
type Flag = keyof typeof FLAGS;

export const HELP = `Usage: skein-agent [OPTIONS]

The node's daemon: joins swarms, keeps the kernel's networking as the swarm wants it, and serves
the Docker Engine API on a unix socket. It runs as root.

Options:
      --config FILE         JSON file with these same names (default ${DEFAULT_CONFIG_PATH}, if it exists)
      --state-dir DIR       What must outlive a reboot (default ${FLAGS["state-dir"]})
      --run-dir DIR         Sockets and sandboxes (default ${FLAGS["run-dir"]})
      --socket PATH         The local API (default RUN-DIR/skein.sock)
      --hostname NAME       This node's name (default: the machine's)
      --group NAME          Group that may open the socket (default ${FLAGS.group})
      --manager-user NAME   User that the manager process runs as (default ${FLAGS["manager-user"]})
      --manager-unit NAME   Start and stop this systemd unit instead of a child process
      --log-level LEVEL     ${LOG_LEVELS.join(", ")} (default ${FLAGS["log-level"]})
      --time-scale N        Stretch every timeout N times, 1 to 100, for slow machines
      --metrics-addr ADDR   Also serve Prometheus metrics over HTTP on this address and port
      --help                Show this and exit
      --version             Show the version and exit`;

export interface Surroundings {
  readonly hostname: string;
  /** The file's text, or undefined when there is none. */
  readonly readText: (path: string) => string | undefined;
}

export function parseCommand(argv: readonly string[], around: Surroundings): Command {
  const given = parseFlags(argv);
  if ("message" in given) return wrong(given.message);
  if (given.help) return { kind: "help" };
  if (given.version) return { kind: "version" };
  const path = given.config ?? DEFAULT_CONFIG_PATH;
  const text = around.readText(path);
  if (text === undefined && given.config !== undefined) return wrong(`there is no ${path}`);
  const file = text === undefined ? {} : parseFile(path, text);
  if (typeof file === "string") return wrong(file);
  return settingsFrom({ ...FLAGS, ...file, ...given.values }, around.hostname);
}

interface Given {
  readonly help: boolean;
  readonly version: boolean;
  readonly config: string | undefined;
  readonly values: Partial<Record<Flag, string>>;
}

function parseFlags(argv: readonly string[]): Given | { readonly message: string } {
  const text = { type: "string" } as const;
  const options = {
    ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, text])),
    config: text,
    help: { type: "boolean" },
    version: { type: "boolean" },
  } as const;
  try {
    const { values } = parseArgs({
      args: [...argv],
      options,
      strict: true,
      allowPositionals: false,
    });
    const { config, help, version, ...rest } = values;
    return {
      help: help === true,
      version: version === true,
      config: typeof config === "string" ? config : undefined,
      values: rest as Partial<Record<Flag, string>>,
    };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
}

function parseFile(path: string, text: string): Partial<Record<Flag, string>> | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `${path} is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return `${path} must hold one JSON object`;
  }
  const result: Partial<Record<Flag, string>> = {};
  for (const [key, entry] of Object.entries(value)) {
    if (!Object.hasOwn(FLAGS, key)) return `${path}: unknown setting ${JSON.stringify(key)}`;
    if (typeof entry !== "string" && !(key === "time-scale" && typeof entry === "number")) {
      return `${path}: ${key} must be a string`;
    }
    result[key as Flag] = String(entry);
  }
  return result;
}

function settingsFrom(values: Readonly<Record<Flag, string>>, machineName: string): Command {
  for (const flag of ["state-dir", "run-dir", "socket"] as const) {
    const path = values[flag];
    if (path !== "" && !path.startsWith("/")) return wrong(`--${flag} must be an absolute path`);
  }
  const stateDir = values["state-dir"];
  const runDir = values["run-dir"];
  if (stateDir === "" || runDir === "") return wrong("--state-dir and --run-dir must not be empty");
  if (values["manager-user"] === "") return wrong("--manager-user must not be empty");
  const hostname = values.hostname === "" ? machineName : values.hostname;
  if (!/^[\x21-\x7e]{1,253}$/.test(hostname)) {
    return wrong("--hostname must be 1 to 253 printable characters without spaces");
  }
  const logLevel = values["log-level"];
  if (!LOG_LEVELS.includes(logLevel)) {
    return wrong(`--log-level must be one of ${LOG_LEVELS.join(", ")}`);
  }
  const timeScale = Number(values["time-scale"]);
  if (!(timeScale >= 1 && timeScale <= 100)) return wrong("--time-scale must be from 1 to 100");
  const metricsAddr = values["metrics-addr"];
  if (metricsAddr !== "" && parseHostPort(metricsAddr, 0) === undefined) {
    return wrong("--metrics-addr must be an address and port, like 127.0.0.1:9323");
  }
  return {
    kind: "run",
    settings: {
      stateDir,
      runDir,
      socketPath: values.socket === "" ? `${runDir}/skein.sock` : values.socket,
      hostname,
      group: values.group,
      managerUser: values["manager-user"],
      managerUnit: values["manager-unit"],
      logLevel,
      timeScale,
      timing: stretched(DEFAULT_TIMING, timeScale),
      metricsAddr,
    },
  };
}

function wrong(message: string): Command {
  return { kind: "wrong", message };
}
