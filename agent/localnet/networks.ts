// What a network of one machine is made of: Docker's predefined ones, and what a person may ask for with
// the bridge driver. All that cannot be honoured is refused by name.
import { type Family, parseIp, parsePrefix } from "../../common/address.js";
import { type Refusal, refuse } from "../../common/fault.js";
import { type Network, NetworkSpec, type Subnet } from "../../proto/gen/types.js";
import type { BridgeWant } from "../reconcile/local-want.js";
import { refusedPools } from "./pools.js";

export const GATEWAY_NETWORK = "docker_gwbridge";
export const PREDEFINED = ["bridge", "host", "none"] as const;

// Docker's driver options (moby libnetwork/drivers/bridge/labels.go, netlabel).
const BRIDGE_NAME = "com.docker.network.bridge.name";
const ICC = "com.docker.network.bridge.enable_icc";
const MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade";
const HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4";
const DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge";
const MTU = "com.docker.network.driver.mtu";
const OPTIONS = [BRIDGE_NAME, ICC, MASQUERADE, HOST_BINDING, MTU];
// What Docker knows too, and is here as Docker has it unless asked otherwise: these values alone.
const PLAIN: ReadonlyMap<string, { readonly values: readonly string[]; readonly why: string }> =
  new Map([
    [
      "com.docker.network.bridge.gateway_mode_ipv4",
      {
        values: ["nat", ""],
        why: "containers reach out by masquerade, and are reached by their published ports",
      },
    ],
    [
      "com.docker.network.bridge.gateway_mode_ipv6",
      {
        values: ["nat", ""],
        why: "containers reach out by masquerade, and are reached by their published ports",
      },
    ],
    [
      "com.docker.network.bridge.inhibit_ipv4",
      { values: ["false", ""], why: "a bridge has its gateway's address" },
    ],
    [
      "com.docker.network.bridge.trusted_host_interfaces",
      {
        values: [""],
        why: "containers are reached by their published ports, from every interface",
      },
    ],
    [
      "com.docker.network.host_ipv4",
      { values: [""], why: "what leaves has the address of the interface that it leaves by" },
    ],
    [
      "com.docker.network.host_ipv6",
      { values: [""], why: "what leaves has the address of the interface that it leaves by" },
    ],
    [
      "com.docker.network.container_iface_prefix",
      { values: ["eth", ""], why: "interfaces inside are eth0, eth1, …" },
    ],
    ["com.docker.network.enable_ipv4", { values: ["true", ""], why: "every bridge has IPv4" }],
    ["com.docker.network.enable_ipv6", { values: ["false", ""], why: "ask for IPv6 with --ipv6" }],
    [DEFAULT_BRIDGE, { values: ["false", ""], why: 'the default bridge is the network "bridge"' }],
  ]);
const MTU_DEFAULT = 1500;
// RFC 791 section 3.1: every host takes 68 bytes; IFNAMSIZ less its NUL.
const MTU_MIN = 68;
const MTU_MAX = 65_535;
const DEVICE_NAME = /^(?!\.{1,2}$)[!-.0-9;-~]{1,15}$/;

const EMPTY_SPEC = NetworkSpec.create({ driver: "bridge", ipamDriver: "default" });

/** As `docker network inspect` shows Docker's, but for the devices' names: a Docker beside us has those. */
export function predefinedSpec(name: "bridge" | "host" | "none"): NetworkSpec {
  if (name === "host") return { ...EMPTY_SPEC, name, driver: "host" };
  if (name === "none") return { ...EMPTY_SPEC, name, driver: "null" };
  const driverOpts = {
    [DEFAULT_BRIDGE]: "true",
    [ICC]: "true",
    [MASQUERADE]: "true",
    [HOST_BINDING]: "0.0.0.0",
    [BRIDGE_NAME]: "skein0",
    [MTU]: String(MTU_DEFAULT),
  };
  return { ...EMPTY_SPEC, name, driverOpts };
}

/**
 * The way out for containers on networks of the swarm: they do not talk to each other on it. IPv4, as Docker's; who
 * wants both makes it by hand, as with Docker. `ipv6`: that as well.
 */
export function gatewaySpec(ipv6: boolean): NetworkSpec {
  const driverOpts = { [ICC]: "false", [MASQUERADE]: "true", [BRIDGE_NAME]: "skein_gwbridge" };
  return { ...EMPTY_SPEC, name: GATEWAY_NETWORK, driverOpts, ipv6 };
}

/** The same network with its bridge under another name. */
export function onDevice(spec: NetworkSpec, device: string): NetworkSpec {
  return { ...spec, driverOpts: { ...spec.driverOpts, [BRIDGE_NAME]: device } };
}

export function isPredefined(network: Network): boolean {
  return (PREDEFINED as readonly string[]).includes(network.spec?.name ?? "");
}

/** Whose bridge is not called as Docker's is: "bridge" and docker_gwbridge. */
export function isOurs(network: Network): boolean {
  return isPredefined(network) || network.spec?.name === GATEWAY_NETWORK;
}

export function isBridge(network: Network): boolean {
  return network.spec?.driver === "bridge";
}

/** The network's subnet of a family; undefined: it has none. */
export function subnetOf(network: Network, family: Family): Subnet | undefined {
  return network.subnets.find(({ cidr }) => parsePrefix(cidr)?.ip.family === family);
}

/** A bridge network's device and manner. */
export function bridgeOf(network: Network): Omit<BridgeWant, "locals"> {
  const options = network.spec?.driverOpts ?? {};
  const addresses = network.subnets.flatMap((subnet) => {
    const prefix = parsePrefix(subnet.cidr);
    const gateway = parseIp(subnet.gateway);
    return prefix && gateway ? [{ ip: gateway, length: prefix.length }] : [];
  });
  return {
    networkId: network.id,
    name: network.spec?.name ?? network.id,
    device: deviceOf(network),
    mtuBytes: Number(options[MTU] ?? MTU_DEFAULT),
    addresses,
    internal: network.spec?.internal ?? false,
    icc: options[ICC] !== "false",
    masquerade: options[MASQUERADE] !== "false",
  };
}

/** Docker's name of a bridge that was not given one: "br-" and the beginning of the network's id. */
export function deviceOf({ id, spec }: Pick<Network, "id" | "spec">): string {
  return spec?.driverOpts[BRIDGE_NAME] || `br-${id.slice(0, 12)}`;
}

/** Where ports are published when the person did not say; "": every address. */
export function hostBindingOf({ spec }: Network): string {
  const address = spec?.driverOpts[HOST_BINDING] ?? "";
  return address === "0.0.0.0" ? "" : address;
}

/** What prevents a network of this spec, whatever else there is. */
export function refusedSpec(spec: NetworkSpec): Refusal | undefined {
  const wrong = (message: string) => refuse("invalid-argument", message);
  if (spec.name.trim() === "") return wrong("invalid name: name is empty");
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(spec.name)) {
    return wrong(`invalid name (${spec.name}): only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  if (spec.driver !== "bridge") return refuse("not-found", `plugin "${spec.driver}" not found`);
  if (spec.ingress) return wrong("ingress: a bridge network cannot be the routing mesh's");
  if (spec.ipamDriver !== "" && spec.ipamDriver !== "default")
    return refuse("not-found", `plugin "${spec.ipamDriver}" not found`);
  return refusedOptions(spec) ?? refusedPools(spec);
}

function refusedOptions({ driverOpts }: NetworkSpec): Refusal | undefined {
  for (const [key, value] of Object.entries(driverOpts)) {
    const plain = PLAIN.get(key);
    if (plain !== undefined) {
      if (plain.values.includes(value)) continue;
      const why = `driver option ${key}=${value} is not part of this release of Skein: ${plain.why}`;
      return refuse("unimplemented", why);
    }
    const isWrong =
      key === MTU
        ? !(/^\d{1,5}$/.test(value) && Number(value) >= MTU_MIN && Number(value) <= MTU_MAX)
        : key === BRIDGE_NAME
          ? value !== "" && !DEVICE_NAME.test(value)
          : key === HOST_BINDING
            ? parseIp(value)?.family !== 4
            : value !== "true" && value !== "false";
    if (!OPTIONS.includes(key)) {
      const known = `the bridge driver here knows ${OPTIONS.join(", ")}`;
      return refuse("invalid-argument", `unknown driver option "${key}": ${known}`);
    }
    if (isWrong) return refuse("invalid-argument", `invalid value "${value}" for ${key}`);
  }
  return undefined;
}
