// Published and exposed ports of a container, as inspect and as ps show them.
import type { Container, PublishedPort } from "../seams.js";

/** NetworkSettings.Ports: what is exposed and not published is null. Nothing of one that does not run. */
export function portMapJson({ spec, ports, state }: Container): object {
  if (state !== "running" && state !== "paused") return {};
  const map: Record<string, object[] | null> = {};
  for (const each of spec.exposed) map[each] = null;
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`;
    map[key] = [...(map[key] ?? []), { HostIp: ipOf(port), HostPort: String(port.hostPort) }];
  }
  return map;
}

export function portListJson({ spec, ports, state }: Container): readonly object[] {
  if (state !== "running" && state !== "paused") return [];
  const published = ports.map((port) => ({
    IP: ipOf(port),
    PrivatePort: port.containerPort,
    PublicPort: port.hostPort,
    Type: port.protocol,
  }));
  const taken = new Set(ports.map((port) => `${port.containerPort}/${port.protocol}`));
  const exposed = spec.exposed
    .filter((each) => !taken.has(each))
    .map((each) => {
      const [port, type = "tcp"] = each.split("/");
      return { PrivatePort: Number(port), Type: type };
    });
  return [...exposed, ...published];
}

function ipOf({ hostIp }: PublishedPort): string {
  return hostIp === "" ? "0.0.0.0" : hostIp;
}
