// The maps of the mesh's table. Services cost elements of these, and no rules.
import { type Family, type Ip, ipToBytes } from "../../common/address.js";
import { meshIpv6 } from "../reconcile/mesh-want.js";
import { ADDRESS_BYTES, hexOf, typeOf } from "../reconcile/rule-words.js";
import type { MapWant } from "../reconcile/table-want.js";

export const PORTS: Omit<MapWant, "elements"> = {
  name: "ports",
  kind: "verdicts",
  keyType: typeOf("protocol", "port"),
  keyBytes: 8,
  dataType: 0,
  dataBytes: 0,
};
export const PUBLISHED: Omit<MapWant, "elements"> = { ...PORTS, name: "published", kind: "set" };
/** UDP has no goodbye: what went to a backend that is asked no more is forgotten. */
export const BACKENDS: Readonly<Record<Family, Omit<MapWant, "elements">>> = {
  4: backendsMap("backends", 4),
  6: backendsMap("backends6", 6),
};
/** Backends that do not see the client. */
export const HIDDEN: Omit<MapWant, "elements"> = {
  name: "hidden",
  kind: "set",
  keyType: typeOf("ipv4"),
  keyBytes: 4,
  dataType: 0,
  dataBytes: 0,
};

function backendsMap(name: string, family: Family): Omit<MapWant, "elements"> {
  const bytes = ADDRESS_BYTES[family];
  return {
    name,
    kind: "map",
    keyType: typeOf("protocol", "port", "mark"),
    keyBytes: 12,
    dataType: typeOf(family === 4 ? "ipv4" : "ipv6", "port"),
    dataBytes: bytes + 4,
    forgets: { kind: "translated-to", part: "value", offset: 0, bytes, protocols: "udp" },
  };
}

/** Of all backends. No rule looks these up: connections to a backend are forgotten when its address is gone. */
export function knownMaps(all: readonly Ip[]): readonly MapWant[] {
  return ([4, 6] as const).map((family) => {
    const bytes = ADDRESS_BYTES[family];
    return {
      ...HIDDEN,
      name: family === 4 ? "known" : "known6",
      keyType: typeOf(family === 4 ? "ipv4" : "ipv6"),
      keyBytes: bytes,
      elements: addressSet(family === 4 ? all : all.map(meshIpv6)),
      forgets: { kind: "translated-to", part: "key", offset: 0, bytes, protocols: "all" },
    };
  });
}

export function addressSet(ips: readonly Ip[]): ReadonlyMap<string, string> {
  return new Map(ips.map((ip) => [hexOf(ipToBytes(ip)), ""]));
}
