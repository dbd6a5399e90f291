// skein swarm …
import { type Command, exactly, type Flag, type Group, none } from "../command.js";
import { bool, objectFormat } from "./shared.js";

const handlers = () => import("../commands/swarm.js");
const backups = () => import("../commands/swarm-backup.js");
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
    path: "swarm backup",
    usage: "[OPTIONS] FILE",
    about: "Write all that the swarm's managers know to an encrypted file",
    explain:
      "Write all that the swarm's managers know to an encrypted file, and print its key once; or, with\n" +
      "--verify, say whether such a file is whole. The key is then read from the terminal or STDIN.",
    args: exactly(1),
    example: "skein swarm backup /mnt/backup/swarm.skein",
    flags: [
      bool("force", "Replace a file that is there", "f"),
      bool("quiet", "Only display the key", "q"),
      bool("verify", "Check a backup: its checksum, its key and what is in it"),
    ],
    load: async () => (await backups()).backup,
  },
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
    path: "swarm recover",
    usage: "[OPTIONS]",
    about: "Make this manager the only one, after the others are gone for good",
    explain:
      "Make this manager the only one of its swarm, with what it holds: for when most managers are\n" +
      "gone for good, or its log is damaged. Refused while there is a quorum.",
    args: none,
    example: "skein swarm recover",
    flags: [bool("force", "As --yes", "f"), bool("yes", "Do not ask whether to go on", "y")],
    load: async () => (await import("../commands/swarm-recover.js")).recover,
  },
  {
    path: "swarm restore",
    usage: "[OPTIONS] FILE",
    about: "Begin a swarm again from a backup, with this node as its only manager",
    explain:
      "Begin a swarm again from a backup, with this node, which must not be part of one, as its only\n" +
      "manager. The key is read from the terminal or STDIN.",
    args: exactly(1),
    example: "skein swarm restore /mnt/backup/swarm.skein",
    flags: [
      advertiseAddr,
      dataPathAddr,
      listenAddr,
      {
        name: "node",
        type: "string",
        about:
          "Node of the backup whose place this one takes (default: the manager of its hostname)",
      },
    ],
    load: async () => (await backups()).restore,
  },
  {
    path: "swarm status",
    usage: "[OPTIONS]",
    about: "Show the managers: who leads, how far each is, and what is wrong",
    explain:
      "Show the managers: who leads, how far each is, and what is wrong. Every manager is asked; also when\n" +
      "nobody leads. Exit code 1 when nobody leads.",
    args: none,
    example: "skein swarm status",
    flags: [objectFormat, bool("json", "Print as one JSON object")],
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
    flags: [
      {
        name: "allow-expired-renewal",
        type: "duration",
        fallback: "720h0m0s",
        about: "How long after its end a node's certificate can be renewed (0: not at all)",
      },
      bool("autolock", "Change manager autolocking setting (true|false)"),
      {
        name: "data-path-port",
        type: "uint32",
        about: "Change the port of data path traffic, while it flows (1024 - 49151)",
      },
      ...swarmSettings,
    ],
    load: async () => (await handlers()).update,
  },
];

export const swarm: Group = { path: "swarm", about: "Manage Swarm", commands };
