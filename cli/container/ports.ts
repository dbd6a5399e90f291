// `-p` and `--expose` → PortBindings and ExposedPorts.
import type { Values } from "../args/values.js";
import { Failure } from "../cli.js";

interface HostPort {
  readonly HostIp: string;
  readonly HostPort: string;
}

export interface PortFields {
  readonly bindings: Readonly<Record<string, readonly HostPort[]>>;
  readonly exposed: Readonly<Record<string, object>>;
}

export function portBindings(flags: Values): PortFields {
  const bindings: Record<string, HostPort[]> = {};
  const exposed: Record<string, object> = {};
  for (const text of flags.list("publish")) {
    for (const { port, host } of published(text)) {
      exposed[port] = {};
      bindings[port] = [...(bindings[port] ?? []), host];
    }
  }
  for (const text of flags.list("expose"))
    for (const port of exposedPorts(text)) exposed[port] = {};
  return { bindings, exposed };
}

// [address:][host port[-last]:]container port[-last][/protocol]
const PUBLISH =
  /^(?:(?:\[([0-9a-fA-F:]+)\]|(\d+(?:\.\d+){3})):)?(?:(\d*(?:-\d+)?):)?(\d+(?:-\d+)?)(?:\/(\w+))?$/;

function published(text: string): readonly { readonly port: string; readonly host: HostPort }[] {
  const match = PUBLISH.exec(text);
  if (match === null)
    throw new Failure(`invalid publish: "${text}": use [ip:]hostPort:containerPort`);
  const [, ip6 = "", ip4 = "", host = "", container = "", protocol = "tcp"] = match;
  const name = protocolOf(protocol);
  const inner = range(container, text);
  const outer = host === "" ? [] : range(host, text);
  // A range of the host for one port of the container: the node picks one of it.
  if (inner.length === 1 && outer.length > 1) {
    return [{ port: `${inner[0]}/${name}`, host: { HostIp: ip6 || ip4, HostPort: host } }];
  }
  if (outer.length > 0 && outer.length !== inner.length) {
    throw new Failure(
      `invalid ranges specified for container and host Ports: ${container} and ${host}`,
    );
  }
  return inner.map((port, i) => ({
    port: `${port}/${name}`,
    host: { HostIp: ip6 || ip4, HostPort: outer[i] === undefined ? "" : String(outer[i]) },
  }));
}

function exposedPorts(text: string): readonly string[] {
  const [ports = "", protocol = "tcp"] = text.split("/");
  if (!/^\d+(-\d+)?$/.test(ports)) {
    throw new Failure(`invalid port format for --expose: ${text}`);
  }
  return range(ports, text).map((port) => `${port}/${protocolOf(protocol)}`);
}

function protocolOf(text: string): string {
  const name = text.toLowerCase();
  if (!["tcp", "udp", "sctp"].includes(name)) throw new Failure(`invalid proto: ${text}`);
  return name;
}

function range(text: string, whole: string): readonly number[] {
  const [first = 0, last = first] = text.split("-").map(Number);
  if (first < 1 || last > 0xffff || last < first) throw new Failure(`invalid port in "${whole}"`);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
