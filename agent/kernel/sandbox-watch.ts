// Hears of what changes inside our own sandboxes: interfaces, addresses, routes, and our tables. Other programs' namespaces
// are only looked at now and then: an open socket would keep one alive after its owner removed it.
import {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_LINK,
} from "../netlink/constants.js";
import { NETLINK_NETFILTER } from "../netlink/nftables-constants.js";
import { namespaceId, within } from "./namespace.js";
import { NetlinkEvents, NetlinkSocket } from "./netlink-socket.js";
import { tableEvents } from "./table-events.js";

const GROUPS = [
  ...[RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
  ...[RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE],
];

interface Watched {
  /** What tells the namespace from one that stands at the same place later. */
  readonly namespace: string;
  readonly events: readonly NetlinkEvents[];
  /** For questions: to open one for each costs as much as the answer. */
  readonly socket: NetlinkSocket;
  readonly filter: NetlinkSocket;
}

export class SandboxWatch {
  readonly #watched = new Map<string, Watched>();

  constructor(
    private readonly runDir: string,
    private readonly opened: (events: NetlinkEvents) => void,
  ) {}

  /** `key` names it in `drain`; `path` is a namespace now. Being followed already is no error. */
  follow(key: string, path: string): void {
    const namespace = namespaceId(path);
    if (this.#watched.get(key)?.namespace === namespace) return;
    this.forget(key);
    const watched = within(path, () => ({
      namespace,
      events: [new NetlinkEvents(GROUPS, () => true), tableEvents(this.runDir)],
      socket: new NetlinkSocket(),
      filter: new NetlinkSocket([], NETLINK_NETFILTER),
    }));
    this.#watched.set(key, watched);
    for (const each of watched.events) this.opened(each);
  }

  /** As it stood when it was last followed; undefined: it is not. */
  of(key: string): Pick<Watched, "namespace" | "socket" | "filter"> | undefined {
    return this.#watched.get(key);
  }

  /** Before the sandbox is removed: the sockets would keep it. */
  forget(key: string): void {
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    for (const each of [...watched.events, watched.socket, watched.filter]) each.close();
    this.#watched.delete(key);
  }

  keys(): readonly string[] {
    return [...this.#watched.keys()];
  }

  /** Forgets every event so far; the keys of sandboxes of which there was one. */
  drain(): readonly string[] {
    const changed: string[] = [];
    for (const [key, { events }] of this.#watched) {
      let news = false;
      for (const each of events) news = each.drain() || news;
      if (news) changed.push(key);
    }
    return changed;
  }

  close(): void {
    for (const key of this.keys()) this.forget(key);
  }
}
