// skein network …
import { atLeast, type Command, exactly, type Group, none } from "../command.js";
import { bool, filter, listFormat, objectFormat, pruneFilter } from "./shared.js";

const handlers = () => import("../commands/network.js");

const commands: readonly Command[] = [
  {
    path: "network connect",
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    args: exactly(2),
    words: "networks",
    example: "skein network connect --ip 10.0.1.9 overnet web",
    flags: [
      { name: "alias", type: "strings", about: "Add network-scoped alias for the container" },
      { name: "driver-opt", type: "strings", about: "driver options for the network" },
      {
        name: "gw-priority",
        type: "int",
        about:
          "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
      },
      { name: "ip", type: "string", about: 'IPv4 address (e.g., "172.30.100.104")' },
      { name: "ip6", type: "string", about: 'IPv6 address (e.g., "2001:db8::33")' },
      { name: "link", type: "list", about: "Add link to another container" },
      {
        name: "link-local-ip",
        type: "strings",
        about: "Add a link-local address for the container",
      },
    ],
    load: async () => (await handlers()).connect,
  },
  {
    path: "network create",
    usage: "[OPTIONS] NETWORK",
    about: "Create a network",
    args: exactly(1),
    example: "skein network create -d overlay --attachable overnet",
    flags: [
      bool("attachable", "Enable manual container attachment"),
      {
        name: "aux-address",
        type: "map",
        about: "Auxiliary IPv4 or IPv6 addresses used by Network driver",
      },
      {
        name: "config-from",
        type: "string",
        about: "The network from which to copy the configuration",
      },
      bool("config-only", "Create a configuration only network"),
      {
        name: "driver",
        short: "d",
        type: "string",
        fallback: "overlay",
        about: "Driver to manage the Network",
        words: ["overlay"],
      },
      { name: "gateway", type: "strings", about: "IPv4 or IPv6 Gateway for the master subnet" },
      bool("ingress", "Create swarm routing-mesh network"),
      bool("internal", "Restrict external access to the network"),
      { name: "ip-range", type: "strings", about: "Allocate container ip from a sub-range" },
      {
        name: "ipam-driver",
        type: "string",
        fallback: "default",
        about: "IP Address Management Driver",
      },
      { name: "ipam-opt", type: "map", about: "Set IPAM driver specific options" },
      {
        name: "ipv4",
        type: "bool",
        fallback: "true",
        about: "Enable or disable IPv4 address assignment",
      },
      bool("ipv6", "Enable or disable IPv6 address assignment"),
      { name: "label", type: "list", about: "Set metadata on a network" },
      {
        name: "opt",
        short: "o",
        type: "map",
        about: "Set driver specific options",
        words: [
          "encrypted",
          "com.docker.network.driver.mtu=",
          "com.docker.network.driver.overlay.vxlanid_list=",
          "skein.policy=deny",
        ],
      },
      { name: "scope", type: "string", about: "Control the network's scope" },
      {
        name: "subnet",
        type: "strings",
        about: "Subnet in CIDR format that represents a network segment",
      },
    ],
    load: async () => (await handlers()).create,
  },
  {
    path: "network disconnect",
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    args: exactly(2),
    words: "networks",
    example: "skein network disconnect overnet web",
    flags: [bool("force", "Force the container to disconnect from a network", "f")],
    load: async () => (await handlers()).disconnect,
  },
  {
    path: "network inspect",
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    about: "Display detailed information on one or more networks",
    args: atLeast(1),
    words: "networks",
    example: "skein network inspect overnet",
    flags: [objectFormat, bool("verbose", "Verbose output for diagnostics", "v")],
    load: async () => (await handlers()).inspect,
  },
  {
    path: "network ls",
    usage: "[OPTIONS]",
    about: "List networks",
    aliases: ["network ls", "network list"],
    args: none,
    example: "skein network ls --filter driver=overlay",
    flags: [
      { ...filter, about: 'Provide filter values (e.g. "driver=bridge")' },
      listFormat,
      bool("no-trunc", "Do not truncate the output"),
      bool("quiet", "Only display network IDs", "q"),
    ],
    load: async () => (await handlers()).ls,
  },
  {
    path: "network prune",
    usage: "[OPTIONS]",
    about: "Remove all unused networks",
    args: none,
    example: "skein network prune -f",
    flags: [pruneFilter, bool("force", "Do not prompt for confirmation", "f")],
    load: async () => (await handlers()).prune,
  },
  {
    path: "network rm",
    usage: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    aliases: ["network rm", "network remove"],
    args: atLeast(1),
    words: "networks",
    example: "skein network rm overnet",
    flags: [bool("force", "Do not error if the network does not exist", "f")],
    load: async () => (await handlers()).rm,
  },
];

export const network: Group = { path: "network", about: "Manage networks", commands };
