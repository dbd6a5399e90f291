// The machine's addresses, ports and facts, as the kernel tells them.
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { cpus, machine, release, totalmem } from "node:os";
import { contains, parseIp, parsePrefix } from "../../common/address.js";
import type { MachineAddress } from "../member/advertise.js";
import type { Underlay } from "../reconcile/have.js";
import type { Kernel } from "../reconcile/kernel.js";
import type { MachineDoor, MachineFacts } from "../seams.js";

export function machineDoor(kernel: Pick<Kernel, "underlay" | "dataPortProblem">): MachineDoor {
  return {
    addresses: async () => machineAddresses(kernel.underlay()),
    sourceTowards,
    dataPortProblem(address, port) {
      const ip = parseIp(address);
      return ip === undefined ? `${address} is not an address` : kernel.dataPortProblem(ip, port);
    },
  };
}

/** Our own overlay interfaces are left out: their addresses mean nothing on the underlay. */
function machineAddresses(underlay: Underlay): readonly MachineAddress[] {
  const withDefault = new Set(
    underlay.routes
      .filter((r) => r.prefix === "0.0.0.0/0" || r.prefix === "::/0")
      .map((r) => r.ifindex),
  );
  return underlay.addresses.flatMap(({ ifindex, prefix }) => {
    const link = underlay.links.find((each) => each.ifindex === ifindex);
    const parsed = parsePrefix(prefix);
    if (link === undefined || parsed === undefined || link.alias.startsWith("skein:")) return [];
    const { family } = parsed.ip;
    return {
      interfaceName: link.name,
      address: prefix.slice(0, prefix.indexOf("/")),
      family,
      usable: !LOCAL_ONLY.some((local) => contains(local, parsed.ip)),
      inside: link.kind === "bridge" && !withDefault.has(ifindex),
    };
  });
}

// RFC 1122 section 3.2.1.3 (loopback), RFC 3927 (link-local), RFC 4291 sections 2.5.3 and 2.5.6.
const LOCAL_ONLY = ["127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"].flatMap(
  (text) => parsePrefix(text) ?? [],
);

/** Connecting a datagram socket sends nothing: it only makes the kernel choose a route and a source. */
function sourceTowards(host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(parseIp(host)?.family === 6 ? "udp6" : "udp4");
    const finish = (address: string | undefined) => {
      socket.close();
      resolve(address);
    };
    socket.once("error", () => finish(undefined));
    // Not a callback of connect: that one is called when there is no way as well, and then the address is 0.0.0.0.
    socket.once("connect", () => finish(socket.address().address));
    // The discard port (RFC 863); nothing goes there.
    socket.connect(9, host);
  });
}

export function machineFacts(): MachineFacts {
  const os = osRelease();
  return {
    kernelVersion: release(),
    operatingSystem: os.get("PRETTY_NAME") ?? "Linux",
    osVersion: os.get("VERSION_ID") ?? "",
    architecture: machine(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
  };
}

/** os-release(5): NAME=value or NAME="value" lines. */
function osRelease(): ReadonlyMap<string, string> {
  const facts = new Map<string, string>();
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      for (const line of readFileSync(path, "utf8").split("\n")) {
        const match = /^([A-Z_]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim());
        if (match?.[1]) facts.set(match[1], match[2] ?? match[3] ?? match[4] ?? "");
      }
      return facts;
    } catch {
      // The next place may have it.
    }
  }
  return facts;
}
