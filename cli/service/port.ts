// `--publish`: "8080:80", "8080-8081:80-81/udp", or "published=8080,target=80,protocol=tcp,mode=host".
import { mustKeyValues, WrongValue } from "../args/fields.js";

/** The API's EndpointPortConfig. */
export interface Port {
  readonly Protocol: string;
  readonly TargetPort: number;
  readonly PublishedPort: number;
  readonly PublishMode: string;
}

const PROTOCOLS = ["tcp", "udp", "sctp"];
const MODES = ["ingress", "host"];

export function parsePorts(text: string): readonly Port[] {
  return text.includes("=") ? [long(text)] : short(text);
}

function long(text: string): Port {
  let port: Port = { Protocol: "tcp", TargetPort: 0, PublishedPort: 0, PublishMode: "ingress" };
  for (const { key, value } of mustKeyValues(text)) {
    if (value === undefined || value === "") throw new WrongValue(`invalid field: ${key}`);
    switch (key) {
      case "protocol":
        if (!PROTOCOLS.includes(value)) throw new WrongValue(`invalid protocol value "${value}"`);
        port = { ...port, Protocol: value };
        break;
      case "mode":
        if (!MODES.includes(value)) {
          throw new WrongValue(
            `invalid publish mode value (${value}): must be either "ingress" or "host"`,
          );
        }
        port = { ...port, PublishMode: value };
        break;
      case "target":
        port = { ...port, TargetPort: number("target", value) };
        break;
      case "published":
        port = { ...port, PublishedPort: number("published", value) };
        break;
      default:
        throw new WrongValue(`invalid field key: ${key}`);
    }
  }
  if (port.TargetPort === 0) throw new WrongValue('missing mandatory field "target"');
  return port;
}

function number(name: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 0xffff) return Number(text);
  const why = /^\d+$/.test(text) ? "value out of range" : "invalid syntax";
  throw new WrongValue(
    `invalid ${name} port (${text}): value must be an integer: strconv.ParseUint: parsing "${text}": ${why}`,
  );
}

// [address:][published]:target[/protocol]
const SHORT =
  /^(?:(?:\[[^\]]*\]|\d+(?:\.\d+){3}):)?(?:(\d*(?:-\d+)?):)?(\d+(?:-\d+)?)(?:\/(\w+))?$/;

function short(text: string): readonly Port[] {
  const match = SHORT.exec(text);
  if (match === null) throw new WrongValue(`invalid containerPort: ${text}`);
  const [, published = "", target = "", protocol = "tcp"] = match;
  const name = protocol.toLowerCase();
  if (!PROTOCOLS.includes(name)) throw new WrongValue(`invalid proto: ${protocol}`);
  const targets = range(target, text);
  const hosts = published === "" ? undefined : range(published, text);
  const base = { Protocol: name, PublishMode: "ingress" };
  if (hosts === undefined) {
    return targets.map((port) => ({ ...base, TargetPort: port, PublishedPort: 0 }));
  }
  if (hosts.length !== targets.length && targets.length !== 1) {
    throw new WrongValue(
      `invalid ranges specified for container and host Ports: ${target} and ${published}`,
    );
  }
  return hosts.map((port, i) => ({
    ...base,
    TargetPort: targets[Math.min(i, targets.length - 1)] ?? 0,
    PublishedPort: port,
  }));
}

function range(text: string, whole: string): readonly number[] {
  const [first = 0, last = first] = text.split("-").map(Number);
  if (first < 1 || last > 0xffff || last < first)
    throw new WrongValue(`invalid containerPort: ${whole}`);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** `--publish-rm` names a target port: "80", "80/udp". */
export function isTarget(port: Port, text: string): boolean {
  const [target = "", protocol = "tcp"] = text.split("/");
  return String(port.TargetPort) === target && port.Protocol === protocol;
}
