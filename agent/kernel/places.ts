// Where our namespaces are, and the sockets into them. A network's socket is kept open; a sandbox's is
// opened for one use, because an open socket would keep somebody's namespace alive after its owner
// removed it.
import { closeSync, openSync, readdirSync } from "node:fs";
import { Fault } from "../../common/fault.js";
import {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_TC,
} from "../netlink/constants.js";
import { deleteLink, dumpLinks } from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import type { NetlinkMessage } from "../netlink/message.js";
import { NETLINK_NETFILTER } from "../netlink/nftables-constants.js";
import { deviceOfControl } from "../netlink/traffic-control.js";
import { NetlinkWriter } from "../netlink/writer.js";
import {
  ALIAS,
  isSandboxFile,
  networkFile,
  vniOfFile,
  WIREGUARD_FILE,
} from "../reconcile/names.js";
import { type SandboxRef, sandboxPath, type TablePlace } from "../reconcile/want.js";
import { isNamespace, namespaceId, within } from "./namespace.js";
import { NetlinkEvents, NetlinkSocket } from "./netlink-socket.js";
import { tableEvents } from "./table-events.js";

export interface Place {
  readonly socket: NetlinkSocket;
  readonly events: NetlinkEvents;
}

interface KnownPlace extends Place {
  readonly id: string;
}

interface NetworkPlace extends KnownPlace {
  readonly tables: NetlinkEvents;
}

export class Places {
  readonly #networks = new Map<number, NetworkPlace>();
  #wireguard: KnownPlace | undefined;
  /** The namespace that the agent runs in. */
  readonly underlay: Place;
  /** ifindexes on the underlay whose events matter, as of the last look. */
  watched: ReadonlySet<number> = new Set();

  constructor(
    private readonly runDir: string,
    private readonly opened: (events: NetlinkEvents) => void,
  ) {
    const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_TC];
    const events = new NetlinkEvents(groups, (message) => this.#matters(message));
    this.underlay = { socket: new NetlinkSocket(), events };
    opened(events);
  }

  networkPath(vni: number): string {
    return `${this.runDir}/netns/${networkFile(vni)}`;
  }

  sandboxFilePath(file: string): string {
    return `${this.runDir}/netns/${file}`;
  }

  /**
   * What stands in the run directory now. Files that are no namespaces count for nothing, and a network
   * whose file somebody took away is given up: nobody could find it again after a restart.
   */
  list(): { readonly vnis: number[]; readonly sandboxes: Set<string> } {
    const vnis: number[] = [];
    const sandboxes = new Set<string>();
    for (const file of filesIn(`${this.runDir}/netns`)) {
      if (!isNamespace(`${this.runDir}/netns/${file}`)) continue;
      const vni = vniOfFile(file);
      if (vni !== undefined) vnis.push(vni);
      else if (isSandboxFile(file)) sandboxes.add(file);
    }
    for (const vni of [...this.#networks.keys()]) if (!vnis.includes(vni)) this.#giveUp(vni);
    return { vnis, sandboxes };
  }

  /** The names of our namespaces that stand now, as one text. */
  standing(): string {
    const folder = `${this.runDir}/netns`;
    return filesIn(folder)
      .filter((file) => isNamespace(`${folder}/${file}`))
      .sort()
      .join(" ");
  }

  /** The network's place; undefined if its namespace does not stand. One that was swapped is opened anew. */
  network(vni: number): Place | undefined {
    const path = this.networkPath(vni);
    const id = isNamespace(path) ? namespaceId(path) : undefined;
    const known = this.#networks.get(vni);
    if (known?.id === id) return known;
    this.#giveUp(vni);
    if (id === undefined) return undefined;
    const place = within(path, () => ({
      id,
      socket: new NetlinkSocket(),
      events: new NetlinkEvents([RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_TC], () => true),
      tables: tableEvents(this.runDir),
    }));
    this.#networks.set(vni, place);
    this.opened(place.events);
    this.opened(place.tables);
    return place;
  }

  mustNetwork(vni: number): Place {
    const place = this.network(vni);
    if (place === undefined) throw new Fault("NETWORK_GONE", { vni });
    return place;
  }

  /** Its devices go at once: the namespace itself ends some time later, and would hold the VNI until then. */
  #giveUp(vni: number): void {
    const socket = this.#networks.get(vni)?.socket;
    for (const link of socket?.dump(dumpLinks, decodeLink) ?? []) {
      const writer = new NetlinkWriter();
      deleteLink(writer, link.ifindex);
      // What cannot be deleted (lo) or is gone with its pair is no loss.
      socket?.batch(writer);
    }
    this.forget(vni);
  }

  get wireguardPath(): string {
    return `${this.runDir}/netns/${WIREGUARD_FILE}`;
  }

  /** Where the WireGuard device is; undefined if it does not stand. */
  wireguard(): Place | undefined {
    const path = this.wireguardPath;
    const id = isNamespace(path) ? namespaceId(path) : undefined;
    if (this.#wireguard?.id === id) return this.#wireguard;
    this.forgetWireguard();
    if (id === undefined) return undefined;
    const place = within(path, () => ({
      id,
      socket: new NetlinkSocket(),
      events: new NetlinkEvents([RTNLGRP_LINK, RTNLGRP_IPV6_IFADDR], () => true),
    }));
    this.#wireguard = place;
    this.opened(place.events);
    return place;
  }

  forgetWireguard(): void {
    this.#wireguard?.events.close();
    this.#wireguard?.socket.close();
    this.#wireguard = undefined;
  }

  /** Closes the sockets into it, so that nothing of ours keeps it alive. */
  forget(vni: number): void {
    const place = this.#networks.get(vni);
    place?.events.close();
    place?.tables.close();
    place?.socket.close();
    this.#networks.delete(vni);
  }

  /** undefined for the agent's own namespace. */
  sandboxPath(ref: TablePlace): string | undefined {
    switch (ref.kind) {
      case "own":
        return sandboxPath(this.runDir, ref.id);
      case "foreign":
        return ref.path;
      case "host":
        return undefined;
      case "network":
        return this.networkPath(ref.vni);
    }
  }

  /** Runs `use` with a socket into the sandbox and a descriptor of it; undefined if it does not stand. */
  inSandbox<T>(ref: SandboxRef, use: (socket: NetlinkSocket, netnsFd: number) => T): T | undefined {
    const path = this.sandboxPath(ref);
    if (path !== undefined && !isNamespace(path)) return undefined;
    const netnsFd = openSync(path ?? "/proc/thread-self/ns/net", "r");
    try {
      if (path === undefined) return use(this.underlay.socket, netnsFd);
      const socket = within(path, () => new NetlinkSocket());
      try {
        return use(socket, netnsFd);
      } finally {
        socket.close();
      }
    } finally {
      closeSync(netnsFd);
    }
  }

  /** Runs `use` with a socket to the packet filter of a sandbox, and what tells its namespace from others. */
  inFilterOf<T>(
    ref: TablePlace,
    use: (socket: NetlinkSocket, namespace: string) => T,
  ): T | undefined {
    const path = this.sandboxPath(ref);
    if (path === undefined || !isNamespace(path)) return undefined;
    const namespace = namespaceId(path);
    const socket = within(path, () => new NetlinkSocket([], NETLINK_NETFILTER));
    try {
      return use(socket, namespace);
    } finally {
      socket.close();
    }
  }

  /** Forgets every event so far; whether there was one that mattered. */
  drain(): boolean {
    let news = this.underlay.events.drain();
    for (const { events, tables } of this.#networks.values()) {
      news = events.drain() || news;
      news = tables.drain() || news;
    }
    if (this.#wireguard !== undefined) news = this.#wireguard.events.drain() || news;
    return news;
  }

  close(): void {
    for (const vni of [...this.#networks.keys()]) this.forget(vni);
    this.forgetWireguard();
    this.underlay.events.close();
    this.underlay.socket.close();
  }

  /**
   * A busy machine makes and removes interfaces all day, and its other programs their filters: only those of ours, the
   * VTEP's, and any address count.
   */
  #matters(message: NetlinkMessage): boolean {
    const filtered = deviceOfControl(message);
    if (filtered !== undefined) return this.watched.has(filtered);
    const link = decodeLink(message);
    return link === undefined || this.watched.has(link.ifindex) || link.alias.startsWith(ALIAS);
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
