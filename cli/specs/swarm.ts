// skein swarm …
import { type Command, exactly, type Flag, type Group, none } from "../command.js";
import { bool } from "./shared.js";

const handlers = () => import("../commands/swarm.js");
const keys = () => import("../commands/swarm-keys.js");

const listenAddr: Flag = {
  name: "listen-addr",
  type: "node-addr",
  fallback: "0.0.0.0:2377",
  about: 'Listen address (format: "<ip|interface>[:port]")',
};
const advertiseAddr: Flag = {
  name: "advertise-addr",
  type: "string",
  about: 'Advertised address (format: "<ip|interface>[:port]")',
};
const dataPathAddr: Flag = {
  name: "data-path-addr",
  type: "string",
  about: 'Address or interface to use for data path traffic (format: "<ip|interface>")',
};
const availability: Flag = {
  name: "availability",
  type: "string",
  fallback: "active",
  about: 'Availability of the node ("active", "pause", "drain")',
  words: ["active", "pause", "drain"],
};
const certExpiry: Flag = {
  name: "cert-expiry",
  type: "duration",
  fallback: "2160h0m0s",
  about: "Validity period for node certificates (ns|us|ms|s|m|h)",
};
const externalCa: Flag = {
  name: "external-ca",
  type: "external-ca",
  about: "Specifications of one or more certificate signing endpoints",
};

/** Settings of the swarm itself: `init` and `update` share them. */
const swarmSettings: readonly Flag[] = [
  certExpiry,
  {
    name: "dispatcher-heartbeat",
    type: "duration",
    fallback: "5s",
    about: "Dispatcher heartbeat period (ns|us|ms|s|m|h)",
  },
  externalCa,
  {
    name: "max-snapshots",
    type: "uint",
    about: "Number of additional Raft snapshots to retain",
  },
  {
    name: "snapshot-interval",
    type: "uint",
    fallback: "10000",
    about: "Number of log entries between Raft snapshots",
  },
  {
    name: "task-history-limit",
    type: "int",
    fallback: "5",
    about: "Task history retention limit",
  },
];

const commands: readonly Command[] = [
  {
    path: "swarm ca",
    usage: "[OPTIONS]",
    about: "Display and rotate the root CA",
    args: none,
    example: "skein swarm ca",
    flags: [
      {
        name: "ca-cert",
        type: "pem-file",
        about: "Path to the PEM-formatted root CA certificate to use for the new cluster",
      },
      {
        name: "ca-key",
        type: "pem-file",
        about: "Path to the PEM-formatted root CA key to use for the new cluster",
      },
      certExpiry,
      bool("detach", "Exit immediately instead of waiting for the root rotation to converge", "d"),
      externalCa,
      bool("quiet", "Suppress progress output", "q"),
      bool(
        "rotate",
        "Rotate the swarm CA - if no certificate or key are provided, new ones will be generated",
      ),
    ],
    load: async () => (await import("../commands/swarm-ca.js")).ca,
  },
  {
    path: "swarm init",
    usage: "[OPTIONS]",
    about: "Initialize a swarm",
    args: none,
    example: "skein swarm init --advertise-addr 192.168.33.10",
    flags: [
      advertiseAddr,
      bool(
        "autolock",
        "Enable manager autolocking (requiring an unlock key to start a stopped manager)",
      ),
      availability,
      dataPathAddr,
      {
        name: "data-path-port",
        type: "uint32",
        about:
          "Port number to use for data path traffic (1024 - 49151). If no value is set or is set to 0, the default port (4789) is used.",
      },
      {
        name: "default-addr-pool",
        type: "ipNetSlice",
        about: "default address pool in CIDR format",
      },
      {
        name: "default-addr-pool-mask-length",
        type: "uint32",
        fallback: "24",
        about: "default address pool subnet mask length",
      },
      bool("force-new-cluster", "Force create a new cluster from current state"),
      listenAddr,
      ...swarmSettings,
    ],
    load: async () => (await handlers()).init,
  },
  {
    path: "swarm join",
    usage: "[OPTIONS] HOST:PORT",
    about: "Join a swarm as a node and/or manager",
    args: exactly(1),
    example: "skein swarm join --token SWMTKN-1-… 192.168.33.10:2377",
    flags: [
      advertiseAddr,
      availability,
      dataPathAddr,
      listenAddr,
      { name: "token", type: "string", about: "Token for entry into the swarm" },
    ],
    load: async () => (await handlers()).join,
  },
  {
    path: "swarm join-token",
    usage: "[OPTIONS] (worker|manager)",
    about: "Manage join tokens",
    args: exactly(1),
    words: ["worker", "manager"],
    example: "skein swarm join-token --rotate worker",
    flags: [bool("quiet", "Only display token", "q"), bool("rotate", "Rotate join token")],
    load: async () => (await handlers()).joinToken,
  },
  {
    path: "swarm leave",
    usage: "[OPTIONS]",
    about: "Leave the swarm",
    args: none,
    example: "skein swarm leave --force",
    flags: [bool("force", "Force this node to leave the swarm, ignoring warnings", "f")],
    load: async () => (await handlers()).leave,
  },
  {
    path: "swarm status",
    usage: "[OPTIONS]",
    about: "Show this manager's place in the Raft group",
    args: none,
    example: "skein swarm status",
    flags: [bool("json", "Print as one JSON object")],
    load: async () => (await import("../commands/swarm-status.js")).status,
  },
  {
    path: "swarm unlock",
    usage: "",
    about: "Unlock swarm",
    args: none,
    example: "skein swarm unlock",
    flags: [],
    load: async () => (await keys()).unlock,
  },
  {
    path: "swarm unlock-key",
    usage: "[OPTIONS]",
    about: "Manage the unlock key",
    args: none,
    example: "skein swarm unlock-key --quiet",
    flags: [bool("quiet", "Only display token", "q"), bool("rotate", "Rotate unlock key")],
    load: async () => (await keys()).unlockKey,
  },
  {
    path: "swarm update",
    usage: "[OPTIONS]",
    about: "Update the swarm",
    args: none,
    example: "skein swarm update --cert-expiry 720h",
    flags: [bool("autolock", "Change manager autolocking setting (true|false)"), ...swarmSettings],
    load: async () => (await handlers()).update,
  },
];

export const swarm: Group = { path: "swarm", about: "Manage Swarm", commands };
