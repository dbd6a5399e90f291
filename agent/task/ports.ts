// Which ports of the machine lead into a container: those named, and with `publishAll` every exposed one.
import type { ContainerSpec, PortBinding } from "../seams.js";

export function publishedPorts(
  spec: Pick<ContainerSpec, "ports" | "exposed" | "publishAll">,
): readonly PortBinding[] {
  if (!spec.publishAll) return spec.ports;
  const named = new Set(spec.ports.map((port) => `${port.containerPort}/${port.protocol}`));
  const more = spec.exposed
    .filter((each) => !named.has(each))
    .flatMap((each) => parseExposed(each) ?? [])
    .map((port): PortBinding => ({ ...port, hostIp: "", hostPort: 0 }));
  return [...spec.ports, ...more];
}

/** "80", "80/udp". */
export function parseExposed(
  text: string,
): Pick<PortBinding, "containerPort" | "protocol"> | undefined {
  const [, digits, protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const containerPort = Number(digits);
  if (!(containerPort >= 1 && containerPort <= 0xffff)) return undefined;
  return { containerPort, protocol: protocol as PortBinding["protocol"] };
}
