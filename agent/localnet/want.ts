// What the kernel is to hold of the node's own networks, from what is kept of them.
import { type Ip, parseIp, parsePrefix } from "../../common/address.js";
import { parseMac } from "../../common/ids.js";
import type { Network } from "../../proto/gen/types.js";
import type { LocalWant, PortWant } from "../reconcile/local-want.js";
import type { LocalEndpoint } from "../reconcile/want.js";
import type { LocalEndpointRecord } from "./keeping.js";
import { bridgeOf, isBridge, isOurs } from "./networks.js";

interface Wanted {
  readonly locals: readonly LocalEndpoint[];
  readonly ports: readonly PortWant[];
}

export function localWant(
  networks: readonly Network[],
  records: readonly LocalEndpointRecord[],
): LocalWant {
  const byNetwork = new Map<string, LocalEndpointRecord[]>();
  for (const record of records) {
    const { networkId } = record.endpoint;
    const group = byNetwork.get(networkId);
    if (group === undefined) byNetwork.set(networkId, [record]);
    else group.push(record);
  }
  const bridges = [];
  const ports: PortWant[] = [];
  for (const network of networks.filter(isBridge)) {
    const wanted = (byNetwork.get(network.id) ?? []).map((record) => wantedOf(record, network));
    // Docker's own are there when something needs them, a person's always.
    if (wanted.length === 0 && isOurs(network)) continue;
    bridges.push({ ...bridgeOf(network), locals: wanted.flatMap(({ locals }) => locals) });
    for (const each of wanted) ports.push(...each.ports);
  }
  return { bridges, ports };
}

// What is declared is declared whole, on every change: what stays is made once.
const known = new WeakMap<LocalEndpointRecord, Wanted>();

/** A network's subnets do not change while something is on it. */
function wantedOf(record: LocalEndpointRecord, network: Network): Wanted {
  const found = known.get(record);
  if (found !== undefined) return found;
  const made = { locals: localOf(record, network), ports: portsOf(record) };
  known.set(record, made);
  return made;
}

function localOf(record: LocalEndpointRecord, network: Network): LocalEndpoint[] {
  const { endpoint, containerId, interfaceName } = record;
  const mac = parseMac(endpoint.mac);
  const prefixes = [endpoint.ipv4, endpoint.ipv6].flatMap((text) => parsePrefix(text) ?? []);
  if (mac === undefined || prefixes.length === 0) return [];
  const leads = record.gateway && !network.spec?.internal;
  const gateways = leads ? network.subnets.flatMap(({ gateway }) => parseIp(gateway) ?? []) : [];
  return [
    {
      endpointId: endpoint.id,
      mac,
      prefixes,
      interfaceName,
      sandbox: { kind: "own", id: containerId },
      version: 0,
      gateways,
    },
  ];
}

/** A port of the machine's IPv6 leads to the IPv6 address inside, one of its IPv4 to the other. */
function portsOf({ endpoint, ports }: LocalEndpointRecord): PortWant[] {
  return ports.flatMap(({ protocol, hostIp, hostPort, containerPort }) => {
    const on = parseIp(hostIp);
    const ip: Ip | undefined = parsePrefix(on?.family === 6 ? endpoint.ipv6 : endpoint.ipv4)?.ip;
    if (ip === undefined) return [];
    const everywhere = on === undefined || on.value === 0n;
    const where = everywhere ? undefined : on;
    return [{ protocol, hostIp: where, hostPort, ip, port: containerPort }];
  });
}
