// Which of the machine's own addresses the swarm is to use: what `--advertise-addr` and
// `--data-path-addr` mean, and what is taken when they are not given.
import { formatIp, type Ip, parseIp, parsePrefix } from "../../common/address.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { Underlay } from "./have.js";

/** `wish`: an address of this machine, an interface's name, or empty: the interface of the default route. */
export function findUnderlayAddress(underlay: Underlay, wish: string): Ip | Refusal {
  const asked = parseIp(wish);
  if (asked !== undefined) {
    const text = formatIp(asked);
    return addressesOf(underlay, undefined).some((ip) => formatIp(ip) === text)
      ? asked
      : refuse(
          "invalid-argument",
          `must specify a listening address: ${text} is on no interface of this machine`,
        );
  }
  if (wish !== "") return fromInterface(underlay, wish);
  const route = ["0.0.0.0/0", "::/0"].flatMap(
    (prefix) =>
      underlay.routes.find((candidate) => candidate.prefix === prefix && candidate.ifindex > 0) ??
      [],
  )[0];
  const found = addressesOf(underlay, route?.ifindex);
  const [only] = found;
  if (only !== undefined && (route !== undefined || found.length === 1)) return only;
  return found.length === 0
    ? refuse(
        "failed-precondition",
        "could not find the system's IP address - specify one with --advertise-addr",
      )
    : refuse(
        "invalid-argument",
        `could not choose an IP address to advertise since this system has multiple addresses (${found.map(formatIp).join(", ")}) - specify one with --advertise-addr`,
      );
}

function fromInterface(underlay: Underlay, name: string): Ip | Refusal {
  const link = underlay.links.find((candidate) => candidate.name === name);
  if (link === undefined) {
    return refuse(
      "invalid-argument",
      `"${name}" is neither an address nor an interface of this machine`,
    );
  }
  const [first, second] = addressesOf(underlay, link.ifindex);
  if (first === undefined)
    return refuse("invalid-argument", `interface ${name} has no usable IP address`);
  if (second !== undefined && second.family === first.family) {
    return refuse(
      "invalid-argument",
      `interface ${name} has more than one IP address (${formatIp(first)} and ${formatIp(second)})`,
    );
  }
  return first;
}

/** IPv4 first; without loopback and link-local ones. `ifindex` undefined: of all interfaces that are up. */
function addressesOf(underlay: Underlay, ifindex: number | undefined): Ip[] {
  const up = new Set(underlay.links.filter((link) => link.up).map((link) => link.ifindex));
  return underlay.addresses
    .filter((address) =>
      ifindex === undefined ? up.has(address.ifindex) : address.ifindex === ifindex,
    )
    .flatMap((address) => parsePrefix(address.prefix)?.ip ?? [])
    .filter((ip) => !isLocalOnly(ip))
    .toSorted((a, b) => a.family - b.family);
}

// RFC 1122 section 3.2.1.3 (127/8), RFC 3927 (169.254/16), RFC 4291 sections 2.5.3 and 2.5.6 (::1, fe80::/10).
function isLocalOnly(ip: Ip): boolean {
  if (ip.family === 4) return ip.value >> 24n === 127n || ip.value >> 16n === 0xa9fen;
  return ip.value === 1n || ip.value >> 118n === 0xfe80n >> 6n;
}
