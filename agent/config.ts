// The agent's settings: flags over an optional JSON file over defaults. Text in, settings or a
// sentence out; looking things up on the machine (users, files) is given as arguments.
import { parseArgs } from "node:util";
import { parseHostPort } from "../common/address.js";
import { DEFAULT_TIMING, stretched, type Timing } from "../common/timing.js";
import type { NodeResource } from "../proto/gen/types.js";
import { parseGenericResources } from "./member/generic-resources.js";
import { DATA_PATH_WISHES, type DataPathWish } from "./overlay/data-path.js";

export interface AgentSettings {
  /** Identity, journal, containers; mode 0700. `manager/` in it belongs to the manager's user. */
  readonly stateDir: string;
  /** What need not outlive a reboot: sockets, sandboxes' files. */
  readonly runDir: string;
  readonly socketPath: string;
  readonly hostname: string;
  /** Who may open the socket besides root; ignored when the machine has no such group. */
  readonly group: string;
  /** Where other nodes reach this one, from now on: an address or an interface, a port; empty: as it joined. */
  readonly advertiseAddr: string;
  /** Who runs the manager process. */
  readonly managerUser: string;
  /** The systemd unit to start instead of a child process; empty: a child process. */
  readonly managerUnit: string;
  readonly logLevel: string;
  readonly timeScale: number;
  readonly timing: Timing;
  /** "127.0.0.1:9323"; empty: metrics are on the local socket only. */
  readonly metricsAddr: string;
  /** Containerd's socket; nothing there: this node runs only processes. */
  readonly containerdPath: string;
  /** Containerd's namespace of ours: images and containers that others have there are not seen. */
  readonly containerdNamespace: string;
  /** What placement constraints can name as engine.labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** What services can reserve besides CPU and memory. */
  readonly genericResources: readonly NodeResource[];
  /** UDP, for encrypted networks. */
  readonly wireguardPort: number;
  /** How frames of overlay networks go; where it cannot work, the next one that can is taken. */
  readonly dataPath: DataPathWish;
}

export type Command =
  | { readonly kind: "run"; readonly settings: AgentSettings }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "wrong"; readonly message: string };

const DEFAULT_CONFIG_PATH = "/etc/skein/config.json";
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
  containerd: "/run/containerd/containerd.sock",
  "containerd-namespace": "skein",
  datapath: "auto",
  "wireguard-port": "4788",
  "advertise-addr": "",
} as const;
type Flag = keyof typeof FLAGS;

/** May be given more than once. */
const LIST_FLAGS = ["label", "generic-resource"] as const;
type Lists = Readonly<Record<(typeof LIST_FLAGS)[number], readonly string[]>>;
const isListFlag = (key: string): key is keyof Lists =>
  (LIST_FLAGS as readonly string[]).includes(key);

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
      --advertise-addr ADDR Where other nodes reach this one from now on: an address or interface, and a port
                            (default: as it joined; a node whose only address changes follows by itself)
      --manager-user NAME   User that the manager process runs as (default ${FLAGS["manager-user"]})
      --manager-unit NAME   Start and stop this systemd unit instead of a child process
      --log-level LEVEL     ${LOG_LEVELS.join(", ")} (default ${FLAGS["log-level"]})
      --time-scale N        Stretch every timeout N times, 1 to 100, for slow machines
      --containerd PATH     Containerd's socket (default ${FLAGS.containerd})
      --containerd-namespace NAME
                            Containerd's namespace for our images and containers (default ${FLAGS["containerd-namespace"]})
      --datapath PATH       How overlay frames go: accelerated, kernel or userspace, or auto, the first of these that
                            works here (default ${FLAGS.datapath}; what does not work gives way to the next that does, and
                            \`skein doctor\` says why)
      --wireguard-port N    UDP port on which encrypted networks' frames come (default ${FLAGS["wireguard-port"]})
      --label KEY=VALUE     A label of this node's engine, for placement constraints (repeatable)
      --generic-resource KIND=VALUE
                            What services may reserve: a number of them (gpu=2), or one by its
                            name (gpu=GPU-8932) (repeatable)
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
  const file = text === undefined ? NOTHING_SAID : parseFile(path, text);
  if (typeof file === "string") return wrong(file);
  const lists = { label: [], "generic-resource": [], ...file.lists, ...given.lists };
  return settingsFrom({ ...FLAGS, ...file.values, ...given.values }, lists, around.hostname);
}

interface Given {
  readonly help: boolean;
  readonly version: boolean;
  readonly config: string | undefined;
  readonly values: Partial<Record<Flag, string>>;
  readonly lists: Partial<Lists>;
}
const NOTHING_SAID: Pick<Given, "values" | "lists"> = { values: {}, lists: {} };

function parseFlags(argv: readonly string[]): Given | { readonly message: string } {
  const text = { type: "string" } as const;
  const list = { type: "string", multiple: true } as const;
  const options = {
    ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, text])),
    ...Object.fromEntries(LIST_FLAGS.map((name) => [name, list])),
    config: text,
    help: { type: "boolean" },
    version: { type: "boolean" },
  } as const;
  try {
    const parsed = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false });
    // The names are computed above, so nothing is known of their types.
    const values: Readonly<Record<string, unknown>> = parsed.values;
    const { config, help, version, label, "generic-resource": resources, ...rest } = values;
    return {
      help: help === true,
      version: version === true,
      config: typeof config === "string" ? config : undefined,
      values: rest as Partial<Record<Flag, string>>,
      lists: {
        ...(Array.isArray(label) && { label: label.map(String) }),
        ...(Array.isArray(resources) && { "generic-resource": resources.map(String) }),
      },
    };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
}

function parseFile(path: string, text: string): Pick<Given, "values" | "lists"> | string {
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
  const lists: { -readonly [K in keyof Lists]?: Lists[K] } = {};
  for (const [key, entry] of Object.entries(value)) {
    if (isListFlag(key)) {
      const all: unknown[] = Array.isArray(entry) ? entry : [entry];
      if (!all.every((each) => typeof each === "string")) {
        return `${path}: ${key} must be a list of strings`;
      }
      lists[key] = all.map(String);
      continue;
    }
    if (!Object.hasOwn(FLAGS, key)) return `${path}: unknown setting ${JSON.stringify(key)}`;
    if (typeof entry !== "string" && !(key === "time-scale" && typeof entry === "number")) {
      return `${path}: ${key} must be a string`;
    }
    result[key as Flag] = String(entry);
  }
  return { values: result, lists };
}

function settingsFrom(
  values: Readonly<Record<Flag, string>>,
  lists: Lists,
  machineName: string,
): Command {
  for (const flag of ["state-dir", "run-dir", "socket", "containerd"] as const) {
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
  // Containerd's rule for identifiers (its identifiers.Validate).
  const containerdNamespace = values["containerd-namespace"];
  if (!/^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/.test(containerdNamespace)) {
    return wrong("--containerd-namespace must be letters and digits, with . _ - between them");
  }
  const dataPath = DATA_PATH_WISHES.find((wish) => wish === values.datapath);
  if (dataPath === undefined) {
    return wrong(`--datapath must be one of ${DATA_PATH_WISHES.join(", ")}`);
  }
  const wireguardPort = Number(values["wireguard-port"]);
  if (!/^\d{1,5}$/.test(values["wireguard-port"]) || wireguardPort < 1 || wireguardPort > 65535) {
    return wrong("--wireguard-port must be from 1 to 65535");
  }
  const labels = labelsOf(lists.label);
  if (typeof labels === "string") return wrong(labels);
  const genericResources = parseGenericResources(lists["generic-resource"]);
  if (typeof genericResources === "string") return wrong(genericResources);
  return {
    kind: "run",
    settings: {
      labels,
      genericResources,
      dataPath,
      wireguardPort,
      stateDir,
      runDir,
      socketPath: values.socket === "" ? `${runDir}/skein.sock` : values.socket,
      hostname,
      group: values.group,
      advertiseAddr: values["advertise-addr"],
      managerUser: values["manager-user"],
      managerUnit: values["manager-unit"],
      logLevel,
      timeScale,
      timing: stretched(DEFAULT_TIMING, timeScale),
      metricsAddr,
      containerdPath: values.containerd === "" ? FLAGS.containerd : values.containerd,
      containerdNamespace,
    },
  };
}

function labelsOf(texts: readonly string[]): Readonly<Record<string, string>> | string {
  const labels = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf("=");
    const key = (at < 0 ? text : text.slice(0, at)).trim();
    if (!/^[\x21-\x7e]{1,253}$/.test(key)) return `--label "${text}" has no key: say KEY=VALUE`;
    labels.set(key, at < 0 ? "" : text.slice(at + 1));
  }
  return Object.fromEntries(labels);
}

function wrong(message: string): Command {
  return { kind: "wrong", message };
}
