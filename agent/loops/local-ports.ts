// Ports of this machine that lead to containers on its own networks: which are given, and that no other program
// takes them. A port that was asked for without an address is one of IPv4 and, where the network has it, of IPv6.
import { parseIp } from "../../common/address.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Network } from "../../proto/gen/types.js";
import type { HeldPort, LocalEndpointRecord, PortHolder } from "../localnet/keeping.js";
import { hostBindingOf, subnetOf } from "../localnet/networks.js";
import type { PortBinding, PublishedPort } from "../seams.js";
import type { LocalJoin } from "./placing.js";

export interface HeldPorts {
  readonly ports: readonly PublishedPort[];
  readonly held: readonly HeldPort[];
}

const EVERY = { 4: "0.0.0.0", 6: "::" } as const;
const NONE: HeldPorts = { ports: [], held: [] };

export class LocalPorts {
  #next = 0;

  constructor(
    private readonly holder: PortHolder,
    private readonly log: Logger,
  ) {}

  /** All that is asked for, or none. */
  take(request: LocalJoin, network: Network): HeldPorts | Refusal {
    if (network.spec?.internal) return NONE;
    const ports: PublishedPort[] = [];
    const held: HeldPort[] = [];
    for (const wish of request.ports) {
      const got = this.#takeOne(wish, network, request.ports);
      if (typeof got !== "string") {
        ports.push(...got.ports);
        held.push(...got.held);
        continue;
      }
      for (const port of held) port.release();
      const start = `driver failed programming external connectivity on endpoint ${request.name} (${request.endpointId})`;
      return refuse("failed-precondition", `${start}: ${got}`);
    }
    return { ports, held };
  }

  /** While there was no agent, somebody may have taken one: the container keeps it all the same. */
  takeAgain({ ports, endpoint }: LocalEndpointRecord): HeldPort[] {
    return ports.flatMap(({ protocol, hostIp, hostPort }) => {
      const held = this.holder.hold(protocol, hostIp || EVERY[4], hostPort);
      if (typeof held !== "string") return [held];
      this.log.warn(
        { endpoint: endpoint.id, port: hostPort, protocol },
        "a published port was taken by another program while the agent did not run; it leads to the container still",
      );
      return [];
    });
  }

  #takeOne(wish: PortBinding, network: Network, all: readonly PortBinding[]): HeldPorts | string {
    const binding = wish.hostIp || hostBindingOf(network);
    const hasIpv6 = subnetOf(network, 6) !== undefined;
    if (binding === "::1") {
      return "publishing on [::1]: Linux leads nothing from ::1 to a container; publish on 127.0.0.1, which localhost means too";
    }
    if (parseIp(binding)?.family === 6 && !hasIpv6) {
      const name = network.spec?.name ?? network.id;
      return `publishing on [${binding}]: network ${name} has no IPv6 addresses, so nothing of IPv6 can lead to the container (make a network with --ipv6)`;
    }
    // Unless the other family's was asked for by itself.
    const alone = all.some(
      (other) => parseIp(other.hostIp)?.family === 6 && isSamePort(other, wish),
    );
    const addresses =
      binding !== "" ? [binding] : hasIpv6 && !alone ? [EVERY[4], EVERY[6]] : [EVERY[4]];
    const { hostPortLast, ...rest } = wish;
    if (hostPortLast !== undefined) {
      const range = { first: wish.hostPort, last: hostPortLast };
      return (
        this.#firstFree(rest, addresses, range, wish.hostPort) ??
        `Bind for ${addresses[0]}:${wish.hostPort}-${hostPortLast} failed: port is already allocated`
      );
    }
    if (wish.hostPort !== 0) {
      const got = this.#hold(rest, addresses, wish.hostPort);
      if (got.kind === "held") return got;
      const where = `${bracketed(got.at)}:${wish.hostPort}`;
      if (got.kind === "taken") return `Bind for ${where} failed: port is already allocated`;
      return `failed to bind port ${where}/${wish.protocol}: cannot assign requested address`;
    }
    const range = this.holder.range();
    if (this.#next < range.first || this.#next > range.last) this.#next = range.first;
    const got = this.#firstFree(rest, addresses, range, this.#next);
    if (got === undefined)
      return `Bind for ${bracketed(addresses[0] ?? "")}:0 failed: all ports are allocated`;
    if (typeof got !== "string") this.#next = (got.ports[0]?.hostPort ?? 0) + 1;
    return got;
  }

  /** Each of the range once, from `from` on and round again; undefined: none is free. */
  #firstFree(
    wish: PortBinding,
    addresses: readonly string[],
    { first, last }: { readonly first: number; readonly last: number },
    from: number,
  ): HeldPorts | string | undefined {
    const count = last - first + 1;
    for (let tried = 0; tried < count; tried++) {
      const hostPort = first + ((from - first + tried) % count);
      const got = this.#hold(wish, addresses, hostPort);
      if (got.kind === "no-such-address")
        return `failed to bind port ${bracketed(got.at)}/${wish.protocol}: cannot assign requested address`;
      if (got.kind === "held") return got;
    }
    return undefined;
  }

  /** The same port on each of the addresses. */
  #hold(
    wish: PortBinding,
    addresses: readonly string[],
    hostPort: number,
  ):
    | ({ readonly kind: "held" } & HeldPorts)
    | { readonly kind: "taken" | "no-such-address"; readonly at: string } {
    const held: HeldPort[] = [];
    for (const at of addresses) {
      const got = this.holder.hold(wish.protocol, at, hostPort);
      if (typeof got !== "string") {
        held.push(got);
        continue;
      }
      for (const port of held) port.release();
      return { kind: got, at };
    }
    const ports = addresses.map((at) => ({
      ...wish,
      // What leads from every IPv4 address has no address.
      hostIp: at === EVERY[4] ? "" : at,
      hostPort,
    }));
    return { kind: "held", ports, held };
  }
}

function isSamePort(a: PortBinding, b: PortBinding): boolean {
  return (
    a.containerPort === b.containerPort && a.protocol === b.protocol && a.hostPort === b.hostPort
  );
}

function bracketed(address: string): string {
  return parseIp(address)?.family === 6 ? `[${address}]` : address;
}
