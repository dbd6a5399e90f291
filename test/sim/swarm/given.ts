// What the swarm has given to whom, apart from the store's own indexes: an address, a hardware address, a VNI, a
// published port, a name, a number in the Raft group. Nothing is anybody's while it is somebody else's.
import { overlaps, type Prefix, parsePrefix } from "../../../common/address.js";
import type { Change, Kind, Objects } from "../../../manager/store/objects.js";
import { PublishMode, type Service } from "../../../proto/gen/service.js";
import type { Endpoint, Network, Node } from "../../../proto/gen/types.js";

export class Given {
  readonly #holders = new Map<string, string>();
  readonly #subnets = new Map<string, readonly Prefix[]>();

  /** Sentences; none: all is well. */
  note(changed: readonly Change[]): readonly string[] {
    const wrong: string[] = [];
    for (const { kind, id, before, after } of changed) {
      if (before !== undefined) {
        for (const thing of thingsOf(kind, before)) {
          if (this.#holders.get(thing) === id) this.#holders.delete(thing);
        }
      }
      if (after !== undefined) {
        for (const thing of thingsOf(kind, after)) {
          const holder = this.#holders.get(thing);
          if (holder !== undefined && holder !== id)
            wrong.push(`${thing} is given to ${id} and to ${holder}`);
          this.#holders.set(thing, id);
        }
      }
      if (kind === "network") wrong.push(...this.#noteSubnets(id, after));
    }
    return wrong;
  }

  #noteSubnets(id: string, network: Network | undefined): readonly string[] {
    this.#subnets.delete(id);
    if (network === undefined) return [];
    const prefixes = network.subnets.flatMap(({ cidr }) => parsePrefix(cidr) ?? []);
    const wrong = [...this.#subnets].flatMap(([other, theirs]) =>
      theirs.some((one) => prefixes.some((mine) => overlaps(one, mine)))
        ? [`networks ${id} and ${other} share addresses`]
        : [],
    );
    this.#subnets.set(id, prefixes);
    return wrong;
  }
}

function thingsOf(kind: Kind, object: Objects[Kind]): readonly string[] {
  switch (kind) {
    case "network": {
      const { spec, vni, leaving } = object as Network;
      return leaving ? [`VNI ${vni}`] : [`VNI ${vni}`, `network name ${spec?.name}`];
    }
    case "endpoint": {
      const { networkId, ipv4, ipv6, mac } = object as Endpoint;
      const addresses = [ipv4, ipv6].filter((text) => text !== "");
      const bare = addresses.map((text) => `address ${text.split("/")[0]} of network ${networkId}`);
      return mac === "" ? bare : [...bare, `${mac} of network ${networkId}`];
    }
    case "service": {
      const { spec } = object as Service;
      const ports = portsOf(object as Service).map((port) => `published port ${port}`);
      return [`service name ${spec?.name}`, ...ports];
    }
    case "node": {
      const { manager } = object as Node;
      return manager === undefined ? [] : [`raft id ${manager.raftId}`];
    }
    case "secret":
    case "config":
      return [`${kind} name ${(object as Objects["secret"]).spec?.name}`];
    default:
      return [];
  }
}

function portsOf({ ports }: Service): readonly string[] {
  return ports
    .filter(({ publishMode, publishedPort }) => {
      return publishMode === PublishMode.INGRESS && publishedPort !== 0;
    })
    .map(({ protocol, publishedPort }) => `${publishedPort}/${protocol}`);
}
