// Which of the machine's addresses the node gives to the others. The rules and the words are Docker's
// (moby daemon/cluster/listen_addr.go); what is found on the machine is an argument.
import {
  contains,
  formatHostPort,
  formatIp,
  type Ip,
  type Prefix,
  parseHostPort,
  parseIp,
} from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";

export interface MachineAddress {
  readonly interfaceName: string;
  /** Without prefix length. */
  readonly address: string;
  readonly family: 4 | 6;
  /** Loopback or link-local: never given to others unless named. */
  readonly usable: boolean;
  /** On a bridge that carries no default route: containers' and VMs' inside, not the underlay. */
  readonly inside: boolean;
}

export interface WantedAddresses {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
}

export interface ChosenAddresses {
  /** "host:port". */
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  /** An address alone. */
  readonly dataPathAddr: string;
}

/** Docker's: port of the managers' services. */
export const MANAGER_PORT = 2377;

export function chooseAddresses(
  wanted: WantedAddresses,
  machine: readonly MachineAddress[],
): ChosenAddresses | Refusal {
  const listen = resolveListen(wanted.listenAddr, machine);
  if (isRefusal(listen)) return listen;
  const advertise = resolveAdvertise(wanted.advertiseAddr, listen, machine);
  if (isRefusal(advertise)) return advertise;
  const dataPath = resolveDataPath(wanted.dataPathAddr, advertise.host, machine);
  if (isRefusal(dataPath)) return dataPath;
  return {
    listenAddr: formatHostPort(listen),
    advertiseAddr: formatHostPort(advertise),
    dataPathAddr: dataPath,
  };
}

interface HostPort {
  readonly host: string;
  readonly port: number;
}

function resolveListen(text: string, machine: readonly MachineAddress[]): HostPort | Refusal {
  if (text === "") return { host: "0.0.0.0", port: MANAGER_PORT };
  const parsed = parseHostPort(text, MANAGER_PORT);
  if (parsed === undefined) return invalid(BAD_LISTEN);
  if (parseIp(parsed.host) !== undefined) return parsed;
  const host = addressOfInterface(parsed.host, machine);
  if (host === undefined) return invalid(BAD_LISTEN);
  return isRefusal(host) ? host : { host, port: parsed.port };
}

function resolveAdvertise(
  text: string,
  listen: HostPort,
  machine: readonly MachineAddress[],
): HostPort | Refusal {
  if (text !== "") {
    const parsed = parseHostPort(text, listen.port);
    if (parsed === undefined) return invalid(BAD_ADVERTISE);
    const ip = parseIp(parsed.host);
    if (ip !== undefined) return unfit(ip, BAD_ADVERTISE) ?? canonical(parsed);
    const host = addressOfInterface(parsed.host, machine);
    if (host === undefined) return invalid(BAD_ADVERTISE);
    return isRefusal(host) ? host : { host, port: parsed.port };
  }
  // Who listens on one address only can be reached on no other.
  const listenIp = parseIp(listen.host);
  if (listenIp !== undefined && !isUnspecified(listenIp)) return canonical(listen);
  const host = onlyAddress(machine);
  return isRefusal(host) ? host : { host, port: listen.port };
}

function resolveDataPath(
  text: string,
  advertiseHost: string,
  machine: readonly MachineAddress[],
): string | Refusal {
  if (text === "") return advertiseHost;
  const ip = parseIp(text);
  if (ip !== undefined) return unfit(ip, BAD_DATA_PATH) ?? formatIp(ip);
  return addressOfInterface(text, machine) ?? invalid(BAD_DATA_PATH);
}

/** Undefined when there is no such interface. IPv4 goes first, as in Docker. */
function addressOfInterface(
  name: string,
  machine: readonly MachineAddress[],
): string | Refusal | undefined {
  const all = machine.filter((address) => address.interfaceName === name);
  if (all.length === 0) return undefined;
  for (const family of [4, 6] as const) {
    const [first, second] = all.filter((a) => a.family === family && (family === 4 || a.usable));
    if (first && second) {
      return invalid(
        `interface ${name} has more than one IPv${family} address (${first.address} and ${second.address})`,
      );
    }
    if (first) return first.address;
  }
  return invalid(`interface ${name} has no usable IPv4 or IPv6 address`);
}

function onlyAddress(machine: readonly MachineAddress[]): string | Refusal {
  const usable = machine.filter((address) => address.usable && !address.inside);
  const four = usable.filter((address) => address.family === 4);
  const [first, second] = four.length > 0 ? four : usable;
  if (first === undefined) {
    return invalid("could not find the system's IP address - specify one with --advertise-addr");
  }
  if (second === undefined) return first.address;
  const where =
    first.interfaceName === second.interfaceName
      ? `on interface ${first.interfaceName} (${first.address} and ${second.address})`
      : `on different interfaces (${first.address} on ${first.interfaceName} and ${second.address} on ${second.interfaceName})`;
  return invalid(
    `could not choose an IP address to advertise since this system has multiple addresses ${where} - specify one with --advertise-addr`,
  );
}

function canonical(target: HostPort): HostPort {
  const ip = parseIp(target.host);
  return ip === undefined ? target : { host: formatIp(ip), port: target.port };
}

function isUnspecified(ip: Ip): boolean {
  return ip.value === 0n;
}

// RFC 4291 section 2.5.6; RFC 4007 section 6: it needs a zone, which is each machine's own.
const LINK_LOCAL: Prefix = { ip: { family: 6, value: 0xfe80n << 112n }, length: 10 };

/** For others to send to. */
function unfit(ip: Ip, otherwise: string): Refusal | undefined {
  if (isUnspecified(ip)) return invalid(otherwise);
  if (!contains(LINK_LOCAL, ip)) return undefined;
  const why = "other nodes cannot tell which of their links it is on";
  return invalid(`${formatIp(ip)} is link-local: ${why}`);
}

function invalid(message: string): Refusal {
  return refuse("invalid-argument", message);
}

const BAD_LISTEN =
  "listen address must be an IP address or network interface (with optional port number)";
const BAD_ADVERTISE =
  "advertise address must be a non-zero IP address or network interface (with optional port number)";
const BAD_DATA_PATH =
  "data path address must be a non-zero IP address or network interface (without a port number)";
