// Our own data paths on two hosts, as the agent's apply loop makes them (the guard's tables included), without the rest of
// an agent; with as many other peers and endpoints in their tables as is asked for.
import type { DataPath } from "../../agent/overlay/data-path.js";
import { wireguardAddress } from "../../agent/overlay/wireguard-address.js";
import { WireguardKey } from "../../agent/overlay/wireguard-key.js";
import type { HostWant } from "../../agent/reconcile/want.js";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import { Host, inside, ip } from "../../test/netns/kernel-lab.js";
import { gone, hosts, type Offloads, type Standing, UNDERLAY } from "./pair.js";

/** Of one host's tables: nodes, and endpoints on all of them. */
export interface Size {
  readonly peers: number;
  readonly endpoints: number;
}
const ALONE: Size = { peers: 2, endpoints: 2 };

export const VNI = 4097;
const KERNEL_LOOK_MS = 10_000;
/** Of the two that are measured. */
export const macOf = (i: number) => `02:42:0a:00:00:0${i + 2}`;
export const insideOf = (i: number) => `10.0.0.${i + 2}`;

export interface OwnStanding extends Standing {
  /** The tables' rows become so many; resolves when they are in use. */
  resize(size: Size): Promise<void>;
}

export async function skein(
  prefix: string,
  offloads: Offloads,
  path: DataPath,
  encrypted = false,
): Promise<OwnStanding> {
  const names = hosts(prefix, offloads);
  // Where peers that are but rows would be: their next hop is known, and no frame goes there.
  for (const [i, name] of names.entries())
    ip("-n", name, "route", "add", "198.18.0.0/15", "via", UNDERLAY[1 - i] ?? "");
  // As an agent looks, and not as often as the tests do.
  process.env["SKEIN_TEST_RESYNC_MS"] ??= String(KERNEL_LOOK_MS);
  const both = names.map((name, i) => new Host(name, UNDERLAY[i] ?? ""));
  for (const host of both) host.start();
  const resize = async (size: Size) => {
    for (const [i, host] of both.entries()) {
      const clear = want(i, path, size);
      const { problems, error } = await host.set(encrypted ? hidden(clear, i) : clear);
      if (error !== undefined) throw new Error(error);
      if (Object.keys(problems ?? {}).length > 0) throw new Error(JSON.stringify(problems));
    }
  };
  const down = async () => {
    for (const host of both) await host.clear();
    gone(...names);
  };
  const [a, b] = both.map((host, i) => host.sandbox(idOf(i)));
  const standing = { client: a ?? "", server: b ?? "", address: insideOf(1), hosts: names };
  try {
    await resize(ALONE);
    // The next hop's MAC is asked for by the first frame.
    inside(a ?? "", "ping", "-c", "3", "-i", "0.3", insideOf(1));
  } catch (error) {
    await down();
    throw error;
  }
  return { ...standing, resize, down };
}

const idOf = (i: number) => `bench${i}`.padEnd(64, "0");
const address = (text: string) => parseIp(text) as Ip;
const prefixOf = (text: string) => parsePrefix(text) as Prefix;
const bytes = (n: number) => [(n >> 8) & 255, n & 255] as const;
const hex = (byte: number) => byte.toString(16).padStart(2, "0");

function want(i: number, path: DataPath, { peers, endpoints }: Size): HostWant {
  const other = 1 - i;
  const endpoint = (n: number) => ({
    endpointId: `endpoint${n}`,
    mac: parseMac(macOf(n)) as Mac,
    version: n,
  });
  const vtep = address(UNDERLAY[other] ?? "");
  const [subnet, vteps] = [prefixOf("10.0.0.0/16"), [vtep]];
  for (let n = 0; n < peers - 2; n++) vteps.push(address(`198.18.${bytes(n).join(".")}`));
  const others = Array.from({ length: endpoints - 2 }, (_, n) => {
    const [high, low] = bytes(n + 256);
    return {
      endpointId: `other${n}`,
      mac: parseMac(`02:42:0a:00:${hex(high)}:${hex(low)}`) as Mac,
      ips: [address(`10.0.${high}.${low}`)],
      vtep: vteps[n % vteps.length] as Ip,
      version: n,
    };
  });
  const network = {
    networkId: "bench",
    name: "bench",
    vni: parseVni(VNI) as Vni,
    mtuBytes: 0,
    vtep: address(UNDERLAY[i] ?? ""),
    port: 4789,
    path,
    subnets: [subnet],
    locals: [
      {
        ...endpoint(i),
        prefixes: [prefixOf(`${insideOf(i)}/16`)],
        interfaceName: "eth0",
        sandbox: { kind: "own", id: idOf(i) } as const,
      },
    ],
    remotes: [{ ...endpoint(other), ips: [address(insideOf(other))], vtep }, ...others],
    floodTo: vteps,
  };
  return { sandboxes: [{ id: idOf(i) }], networks: [network] };
}

const KEYS = [1, 2].map((fill) => WireguardKey.fromChance(Buffer.alloc(32, fill)));
export const WIREGUARD_PORT = 4788;

export const keyOf = (i: number) => KEYS[i] as WireguardKey;

/** The same inside WireGuard: the kernel's, or wireguard-go's where it has none. */
function hidden(clear: HostWant, i: number): HostWant {
  const addresses = [0, 1].map((n) => wireguardAddress("bench", `node${n}`));
  const [own, other] = [addresses[i], addresses[1 - i]] as [Prefix, Prefix];
  const [underlay, endpoint] = [UNDERLAY[i], UNDERLAY[1 - i]].map((text) => address(text ?? ""));
  if (underlay === undefined || endpoint === undefined) return clear;
  const port = WIREGUARD_PORT;
  return {
    ...clear,
    networks: clear.networks.map((network) => ({
      ...network,
      encrypted: "wireguard",
      underlay,
      vtep: own.ip,
      remotes: network.remotes.map((remote) => ({ ...remote, vtep: other.ip })),
      floodTo: [other.ip],
    })),
    wireguard: {
      ...{ key: keyOf(i), port, address: own, underlay },
      peers: [{ publicKey: keyOf(1 - i).publicKey, address: other.ip, endpoint, port }],
    },
  };
}
