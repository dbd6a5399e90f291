// The rows of one network: which are wanted, and what lies between them and those that are there.
// Maps throughout: a network may have ten thousand.
import { formatIp } from "../../common/address.js";
import type { NetworkHave } from "./have.js";
import { portName, VXLAN } from "./names.js";
import type { Row, StaleRow } from "./step.js";
import type { NetworkWant } from "./want.js";

export interface RowsWant {
  /** Remote MAC → VTEP. */
  readonly remotes: ReadonlyMap<string, string>;
  /** Address → MAC. */
  readonly neighbours: ReadonlyMap<string, string>;
  readonly flood: ReadonlySet<string>;
  /** Local MAC → port. */
  readonly locals: ReadonlyMap<string, string>;
  /** All MACs of this node: the endpoints', and the bridge's where it is an end. */
  readonly ends: ReadonlySet<string>;
}

/**
 * One row a key. Where two remote endpoints claim the same MAC or address, the later version holds: the
 * other is on its way out. A local endpoint holds against any remote one.
 */
export function rowsWanted(network: NetworkWant): RowsWant {
  const locals = new Map(
    network.locals.map((local) => [local.mac as string, portName(local.endpointId)]),
  );
  const localIps = new Set(
    network.locals.flatMap((local) => local.prefixes.map((p) => formatIp(p.ip))),
  );
  const ends = new Set([...locals.keys(), ...(network.own === undefined ? [] : [network.own.mac])]);
  const remotes = new Map<string, string>();
  const neighbours = new Map<string, string>();
  for (const remote of inOrderOfVersion(network.remotes)) {
    if (locals.has(remote.mac)) continue;
    remotes.set(remote.mac, formatIp(remote.vtep));
    for (const ip of remote.ips) {
      const text = formatIp(ip);
      if (!localIps.has(text)) neighbours.set(text, remote.mac);
    }
  }
  return { remotes, neighbours, flood: new Set(network.floodTo.map(formatIp)), locals, ends };
}

function inOrderOfVersion(remotes: NetworkWant["remotes"]): NetworkWant["remotes"] {
  let sorted = true;
  for (let i = 1; i < remotes.length && sorted; i++) {
    sorted = (remotes[i - 1]?.version ?? 0) <= (remotes[i]?.version ?? 0);
  }
  return sorted ? remotes : remotes.toSorted((a, b) => a.version - b.version);
}

export function rowsToPut(want: RowsWant, have: NetworkHave): Row[] {
  const rows: Row[] = [];
  for (const vtep of want.flood) if (!have.flood.has(vtep)) rows.push({ kind: "flood", vtep });
  const { switched } = have;
  for (const mac of switched === undefined ? [] : want.ends) {
    if (!switched?.locals.has(mac)) rows.push({ kind: "local", mac });
  }
  for (const [mac, vtep] of want.remotes) {
    if (have.fdb.get(mac) === vtep && have.bridgeFdb.get(mac) === VXLAN) continue;
    rows.push({ kind: "remote", mac, vtep });
  }
  for (const [ip, mac] of want.neighbours) {
    if (have.neighbours.get(ip) !== mac) rows.push({ kind: "neighbour", ip, mac });
  }
  return rows;
}

/** A row whose key is wanted with another value is not stale: putting replaces it. */
export function rowsToDrop(want: RowsWant, have: NetworkHave): StaleRow[] {
  const rows: StaleRow[] = [];
  for (const ip of have.neighbours.keys()) {
    if (!want.neighbours.has(ip)) rows.push({ kind: "neighbour", ip });
  }
  for (const [mac, vtep] of have.fdb) {
    if (!want.remotes.has(mac)) rows.push({ kind: "remote", mac, vtep });
  }
  for (const [mac, port] of have.bridgeFdb) {
    if (!want.remotes.has(mac) && !want.locals.has(mac)) rows.push({ kind: "bridge", mac, port });
  }
  for (const vtep of have.flood) if (!want.flood.has(vtep)) rows.push({ kind: "flood", vtep });
  for (const mac of have.switched?.locals ?? []) {
    if (!want.ends.has(mac)) rows.push({ kind: "local", mac });
  }
  return rows;
}
