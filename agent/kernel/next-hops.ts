// How each peer's VTEP is reached: the underlay's route to it and the MAC of the next hop, as the kernel itself would
// choose them. Frames that skip the kernel's own sending do not make it look after its neighbours, so that is asked for
// here; and a change of any of it is news.
import { type Ip, parseIp } from "../../common/address.js";
import {
  AF_INET,
  NUD_DELAY,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  RTN_UNICAST,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
} from "../netlink/constants.js";
import { dumpLinks, type Link } from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import {
  decodeNeighbour,
  dumpNeighbours,
  type NeighbourRow,
  useNeighbour,
} from "../netlink/neighbour.js";
import { decodeRoute, getRoute, type Route } from "../netlink/route.js";
import { NetlinkWriter } from "../netlink/writer.js";
import { isUnderIpsec } from "../overlay/ipsec.js";
import { type HopHave, isEthernet } from "../reconcile/acceleration.js";
import { IpsecPolicies } from "./ipsec.js";
import { NetlinkError, NetlinkEvents, type NetlinkSocket } from "./netlink-socket.js";

const USABLE = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

const IPV6: HopHave = {
  kind: "none",
  why: "The underlay is IPv6.",
  // It is as it is meant to be, and no trouble.
  lasting: false,
};

const IPSEC: HopHave = {
  kind: "none",
  why: "What this machine exchanges with it is under an IPsec policy of the machine's, which the programs would pass by.",
  lasting: true,
  isKernelsAlone: true,
};

export class NextHops {
  readonly #events: NetlinkEvents;
  readonly #ipsec: IpsecPolicies;
  /** VTEP → the route to it, while nothing has happened that may have changed it. */
  readonly #routes = new Map<string, Route | undefined>();
  /** VTEP → our own address on the way to it, as last asked about. */
  #asked: ReadonlyMap<string, string> = new Map();
  #answer: ReadonlyMap<string, HopHave> = new Map();
  #neighboursChanged = false;

  constructor(
    private readonly socket: NetlinkSocket,
    opened: (events: NetlinkEvents) => void,
  ) {
    const groups = [RTNLGRP_NEIGH, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR];
    groups.push(RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE);
    this.#events = new NetlinkEvents(groups, (message) => {
      this.#neighboursChanged = true;
      return decodeNeighbour(message) === undefined;
    });
    opened(this.#events);
    this.#ipsec = new IpsecPolicies(opened);
  }

  /** `vteps`: each with the address of ours that its frames come from. */
  look(vteps: ReadonlyMap<string, string>): ReadonlyMap<string, HopHave> {
    this.#drain();
    this.#asked = vteps;
    this.#answer = this.#ask();
    return this.#answer;
  }

  /** Forgets every event so far; whether a peer is reached otherwise now. */
  drain(): boolean {
    if (!this.#drain() || this.#asked.size === 0) return false;
    const before = JSON.stringify([...this.#answer]);
    this.#answer = this.#ask();
    return JSON.stringify([...this.#answer]) !== before;
  }

  close(): void {
    this.#events.close();
    this.#ipsec.close();
  }

  #drain(): boolean {
    this.#neighboursChanged = false;
    const isIpsecNews = this.#ipsec.drain();
    if (this.#events.drain()) {
      this.#routes.clear();
      return true;
    }
    return this.#neighboursChanged || isIpsecNews;
  }

  #ask(): ReadonlyMap<string, HopHave> {
    const hops = new Map<string, HopHave>();
    if (this.#asked.size === 0) return hops;
    const links = new Map(
      this.socket.dump(dumpLinks, decodeLink).map((link) => [link.ifindex, link]),
    );
    const rows = this.socket.dump((writer) => dumpNeighbours(writer, AF_INET), decodeNeighbour);
    const neighbours = new Map(rows.map((row) => [`${row.ifindex} ${row.ip}`, row]));
    const stale = new Map<string, NeighbourRow>();
    const policies = this.#ipsec.look();
    for (const [vtep, own] of this.#asked) {
      const [to, from] = [parseIp(vtep), parseIp(own)];
      if (to === undefined || from === undefined) continue;
      if (isUnderIpsec(policies, from, to)) {
        hops.set(vtep, IPSEC);
        continue;
      }
      if (to.family === 6) {
        hops.set(vtep, IPV6);
        continue;
      }
      const route = this.#route(vtep, to, from);
      const neighbour = neighbours.get(`${route?.ifindex} ${route?.gateway ?? vtep}`);
      hops.set(vtep, hopOf(route, links.get(route?.ifindex ?? 0), neighbour));
      if (neighbour !== undefined && neighbour.state & NUD_STALE)
        stale.set(`${neighbour.ifindex} ${neighbour.ip}`, neighbour);
    }
    this.#use([...stale.values()]);
    return hops;
  }

  #route(vtep: string, to: Ip, from: Ip): Route | undefined {
    if (this.#routes.has(vtep)) return this.#routes.get(vtep);
    let route: Route | undefined;
    try {
      route = this.socket.dump((writer) => getRoute(writer, to, from), decodeRoute)[0];
    } catch (error) {
      // ENETUNREACH, EINVAL for an address that is not ours any more: no way there.
      if (!(error instanceof NetlinkError)) throw error;
    }
    this.#routes.set(vtep, route);
    return route;
  }

  #use(stale: readonly NeighbourRow[]): void {
    if (stale.length === 0) return;
    const writer = new NetlinkWriter();
    for (const { ifindex, ip } of stale) useNeighbour(writer, ifindex, ip);
    // One that is gone by now is seen at the next look.
    this.socket.batch(writer);
  }
}

function hopOf(
  route: Route | undefined,
  link: Link | undefined,
  neighbour: NeighbourRow | undefined,
): HopHave {
  if (route === undefined || link === undefined || route.type !== RTN_UNICAST)
    return none("There is no route to it.");
  if (!isEthernet(link)) {
    const what = link.kind === "" ? "no Ethernet device" : `a device of kind ${link.kind}`;
    return none(`It is reached by ${link.name}, ${what}.`, true);
  }
  if (neighbour === undefined || !(neighbour.state & USABLE) || neighbour.mac.length !== 17)
    return none("The next hop's MAC is not known.");
  const { ifindex, name: device, mtuBytes, mac: sourceMac } = link;
  return { kind: "hop", ifindex, device, mtuBytes, nextHopMac: neighbour.mac, sourceMac };
}

function none(why: string, lasting = false): HopHave {
  return { kind: "none", why, lasting };
}
