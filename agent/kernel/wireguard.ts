// The WireGuard device of encrypted networks, in a namespace where there is nothing else, with its UDP socket in the
// underlay's. docs/encryption.md says why that cannot send in clear.
import { closeSync, existsSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { formatPrefix, type Ip, networkOf, parsePrefix } from "../../common/address.js";
import { EADDRINUSE } from "../../common/errno.js";
import { Fault, unreachable } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import { AF_INET6, RT_TABLE_MAIN } from "../netlink/constants.js";
import {
  decodeAddress,
  deleteAddress,
  dumpAddresses,
  putAddress,
} from "../netlink/interface-address.js";
import { changeLink, type Link } from "../netlink/link.js";
import { decodeRoute, dumpRoutes } from "../netlink/route.js";
import type { DeviceChange, WireguardDevice } from "../overlay/wireguard.js";
import type { EncryptionKind } from "../reconcile/kernel.js";
import { aliasOf, wireguardDevice } from "../reconcile/names.js";
import {
  endpointOf,
  type MakeWireguard,
  type PutWireguardPeers,
  WIREGUARD,
  type WireguardHave,
  type WireguardStep,
} from "../reconcile/wireguard-plan.js";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM, sendto, socket } from "./libc.js";
import { createNamespace, removeNamespace, within } from "./namespace.js";
import { NetlinkError } from "./netlink-socket.js";
import { findLink, mustLink, removeLink } from "./network-steps.js";
import type { Place, Places } from "./places.js";
import { sentenceFault } from "./sentence.js";
import { socketAddress } from "./socket-address.js";
import { openWireguard, quietWireguard } from "./sysctl.js";
import { isUdpPortFreeEverywhere, isUdpPortOpen } from "./udp-port.js";
import { findProgram, PROGRAM, WireguardGo } from "./wireguard-go.js";
import { changeDevice, hasKernelWireguard, makeDevice, readDevice } from "./wireguard-kernel.js";

const TUN = "/dev/net/tun";
const IPV6 = "/proc/sys/net/ipv6";
// Choice: a process that has died this often within a minute dies of something that starting it does not mend.
const DEATHS_MAX = 5;
const DEATHS_MS = 60_000;
// Choice: it takes a second at most, and longer on a machine that is busy.
const OPEN_MS = 10_000;
const LOOK_MS = 20;
// RFC 863.
const DISCARD_PORT = 9;
// Choice: each is a computation of some 100 µs here and there; the rest shake hands with their first frame.
const GREETINGS_MAX = 256;
// rtnetlink.h: RT_SCOPE_UNIVERSE; a link-local address, which the kernel gives by itself, is of the link.
const SCOPE_UNIVERSE = 0;

export class Wireguard {
  readonly #name: string;
  readonly #go: WireguardGo;
  readonly #told = new Map<string, string>();
  #deaths: readonly number[] = [];
  /** Whether it was there when last seen: if it is not, it has died. */
  #stood = false;
  /** As last read, and of which device; nothing of ours has changed it since. */
  #known: { readonly ifindex: number; readonly device: WireguardDevice } | undefined;

  constructor(
    runDir: string,
    private readonly places: Places,
  ) {
    this.#name = wireguardDevice(runDir);
    this.#go = new WireguardGo(this.#name, runDir);
  }

  kind(): EncryptionKind {
    if (!existsSync(IPV6)) {
      return { impossible: "This machine's kernel has no IPv6, which goes through WireGuard." };
    }
    if (hasKernelWireguard(this.places.underlay.socket)) return "kernel";
    // One that runs goes on, whatever has become of its program.
    const place = this.places.wireguard();
    if (place !== undefined && findLink(place.socket, this.#name)) return "wireguard-go";
    if (findProgram() === undefined) {
      const impossible = `This machine's kernel has no WireGuard, and there is no ${PROGRAM} on its PATH (Debian's package ${PROGRAM}).`;
      return { impossible };
    }
    if (existsSync(TUN)) return "wireguard-go";
    return { impossible: `This machine's kernel has no WireGuard, and no ${TUN} for ${PROGRAM}.` };
  }

  /** With `trust`, keys and peers are told from memory, where no step has touched them. */
  async look(trust: boolean): Promise<WireguardHave | undefined> {
    const place = this.places.wireguard();
    const link = place && findLink(place.socket, this.#name);
    this.#noteDeath(link);
    if (place === undefined) return undefined;
    const known = trust && this.#known?.ifindex === link?.ifindex ? this.#known?.device : undefined;
    const device = known ?? (link && (await this.#read(link)));
    this.#known = link && device && { ifindex: link.ifindex, device };
    return {
      link,
      addresses: link === undefined ? [] : addressesOf(place, link),
      routes: link === undefined ? [] : routesOf(place, link),
      device,
      kind: link === undefined ? "" : kindOf(link),
      told: new Map(this.#told),
      deaths: this.#deaths,
    };
  }

  async perform(step: WireguardStep): Promise<void> {
    this.#known = undefined;
    switch (step.kind) {
      case "make-wireguard":
        return this.#make(step);
      case "put-wireguard-peers":
        return this.#putPeers(step);
      case "remove-wireguard":
        return this.#remove();
      default:
        unreachable(step);
    }
  }

  close(): void {
    this.#known = undefined;
  }

  async #make(step: MakeWireguard): Promise<void> {
    const { places } = this;
    if (places.wireguard() === undefined) createNamespace(places.wireguardPath, quietWireguard);
    const place = this.#place();
    let link = findLink(place.socket, this.#name);
    let device = link && (await this.#read(link));
    if (device === undefined) {
      // What does not answer cannot be told anything.
      removeLink(place.socket, this.#name);
      await this.#start(step);
      link = mustLink(place.socket, this.#name);
      device = await this.#read(link);
    }
    const { socket } = place;
    const { ifindex } = mustLink(socket, this.#name);
    await this.#tell(step, device);
    within(places.wireguardPath, () => openWireguard(this.#name));
    const want = formatPrefix(step.address);
    const isRouted = routesOf(place, { ifindex }).includes(formatPrefix(networkOf(step.address)));
    for (const text of addressesOf(place, { ifindex })) {
      // An address brings its route with it, once.
      const stale = text === want && isRouted ? undefined : parsePrefix(text);
      if (stale) socket.request((writer) => deleteAddress(writer, ifindex, stale));
    }
    const { mtuBytes } = step;
    socket.request((writer) =>
      changeLink(writer, ifindex, { mtuBytes, alias: aliasOf(WIREGUARD), up: true }),
    );
    socket.request((writer) => putAddress(writer, ifindex, step.address));
    this.#stood = true;
    await opened(step.port);
  }

  async #start(step: MakeWireguard): Promise<void> {
    const { places } = this;
    const { underlay } = places;
    this.#mustHaveLasted();
    this.#told.clear();
    // A run that was killed half-way left it here.
    removeLink(underlay.socket, this.#name);
    await this.#go.end();
    if (!isUdpPortFreeEverywhere(step.port)) throw portTaken(step.port);
    const netnsFd = openSync(places.wireguardPath, "r");
    try {
      if (hasKernelWireguard(underlay.socket)) {
        makeDevice(underlay.socket, this.#name, step.mtuBytes, netnsFd);
        return;
      }
      const program = findProgram();
      if (program === undefined) throw impossible(this.kind());
      await this.#go.start(program, () => findLink(underlay.socket, this.#name) !== undefined);
      const { ifindex } = mustLink(underlay.socket, this.#name);
      const { mtuBytes } = step;
      // Here wireguard-go still hears of it.
      underlay.socket.request((writer) => changeLink(writer, ifindex, { mtuBytes }));
      underlay.socket.request((writer) => changeLink(writer, ifindex, { netnsFd }));
    } finally {
      closeSync(netnsFd);
    }
  }

  /** Only what is another: the same port again would close the socket and open it anew. */
  async #tell({ key, port }: MakeWireguard, device: WireguardDevice | undefined): Promise<void> {
    const change: DeviceChange = {
      ...(device?.publicKey !== key.publicKey && { privateKey: key.bytes() }),
      ...(device?.port !== port && { port }),
      peers: [],
    };
    if (change.privateKey === undefined && change.port === undefined) return;
    try {
      await this.#change(change);
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === EADDRINUSE) throw portTaken(port, error);
      throw error;
    }
  }

  async #putPeers({ changes }: PutWireguardPeers): Promise<void> {
    await this.#change({ peers: changes });
    for (const change of changes) {
      if (change.kind === "remove") this.#told.delete(change.publicKey);
      else this.#told.set(change.publicKey, endpointOf(change));
    }
    const fresh = changes.flatMap((each) => (each.kind === "put" && each.address) || []);
    within(this.places.wireguardPath, () => greet(fresh.slice(0, GREETINGS_MAX)));
  }

  async #remove(): Promise<void> {
    const place = this.places.wireguard();
    this.#stood = false;
    this.#told.clear();
    if (place !== undefined) removeLink(place.socket, this.#name);
    await this.#go.end();
    this.places.forgetWireguard();
    removeNamespace(this.places.wireguardPath);
  }

  async #read(link: Link): Promise<WireguardDevice | undefined> {
    if (kindOf(link) === "wireguard-go") return this.#go.get();
    return readDevice(this.places.wireguardPath, this.#name);
  }

  async #change(change: DeviceChange): Promise<void> {
    const link = mustLink(this.#place().socket, this.#name);
    if (kindOf(link) === "wireguard-go") return this.#go.set(change);
    changeDevice(this.places.wireguardPath, this.#name, change);
  }

  #place(): Place {
    const place = this.places.wireguard();
    if (place === undefined) throw new Fault("WIREGUARD_GONE");
    return place;
  }

  #noteDeath(link: Link | undefined): void {
    if (link !== undefined) this.#stood = true;
    else if (this.#stood) {
      this.#stood = false;
      this.#deaths = [...this.#deaths, Date.now()].slice(-DEATHS_MAX);
    }
  }

  #mustHaveLasted(): void {
    const nowMs = Date.now();
    const recent = this.#deaths.filter((atMs) => atMs > nowMs - DEATHS_MS);
    if (recent.length < DEATHS_MAX) return;
    const words = this.#go.lastWords();
    const why = `${PROGRAM} has ended ${recent.length} times within a minute${words === "" ? "" : ` (${words})`}; it is started again when the minute is over.`;
    throw sentenceFault("WIREGUARD_GO_DIES", why, {});
  }
}

function addressesOf({ socket }: Place, { ifindex }: { readonly ifindex: number }): string[] {
  return socket
    .dump(dumpAddresses, decodeAddress)
    .filter((each) => each.ifindex === ifindex && each.scope === SCOPE_UNIVERSE)
    .map(({ prefix }) => prefix);
}

function routesOf({ socket }: Place, { ifindex }: { readonly ifindex: number }): string[] {
  return socket
    .dump(dumpRoutes, decodeRoute)
    .filter((route) => route.ifindex === ifindex && route.table === RT_TABLE_MAIN)
    .map(({ prefix }) => prefix);
}

/** wireguard-go's is a TUN device. */
function kindOf({ kind }: Link): "kernel" | "wireguard-go" {
  return kind === "wireguard" ? "kernel" : "wireguard-go";
}

/**
 * An empty datagram to each, so that hands are shaken now. Who was called before it knew the caller is called again
 * by WireGuard only after five seconds; so whoever of two comes to know the other later is to call.
 */
function greet(peers: readonly Ip[]): void {
  const fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    for (const ip of peers) {
      try {
        sendto(fd, new Uint8Array(), MSG_DONTWAIT, socketAddress(ip, DISCARD_PORT));
      } catch (error) {
        // What cannot be sent now is not missed: the first frame does the same.
        if (!(error instanceof SystemError)) throw error;
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** wireguard-go looks once a second whether its device is up, and until then loses what is sent. */
async function opened(port: number): Promise<void> {
  const untilMs = performance.now() + OPEN_MS;
  while (!isUdpPortOpen(port)) {
    if (performance.now() > untilMs) {
      const why = `WireGuard did not open UDP port ${port} within ${OPEN_MS / 1_000} s.`;
      throw sentenceFault("WIREGUARD_PORT_SHUT", why, { port });
    }
    await sleep(LOOK_MS);
  }
}

function portTaken(port: number, cause?: unknown): Fault {
  const why = `UDP port ${port}, WireGuard's, is taken by another program on this machine (skein-agent --wireguard-port chooses another).`;
  return sentenceFault("WIREGUARD_PORT_TAKEN", why, { port }, cause);
}

function impossible(kind: EncryptionKind): Fault {
  const why = typeof kind === "object" ? kind.impossible : "There is no WireGuard.";
  return sentenceFault("WIREGUARD_MISSING", why, {});
}
