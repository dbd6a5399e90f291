// Endpoints come, move, go, and give their addresses to others, and each host hears of it when it does: in the end every
// host's tables are the model's, and on the way no step makes a row that leads to the wrong host.
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import { FakeKernel, type FakeNetwork } from "../../test/fakes/kernel.js";
import { portName, VXLAN } from "./names.js";
import { plan } from "./plan.js";
import type { HostWant, LocalEndpoint, NetworkWant, RemoteEndpoint } from "./want.js";

const VNI = parseVni(4097) as Vni;
const HOSTS = 3;
const ADDRESSES = 4;
const vtepOf = (host: number) => `192.0.2.${host + 1}`;
const ip = (text: string) => parseIp(text) as Ip;

/** Of several with one address, the one with the highest version is it; the others are on their way out. */
interface Endpoint {
  readonly id: string;
  readonly address: number;
  readonly host: number;
  readonly version: number;
}
const macOf = ({ address }: Endpoint) => `02:42:0a:00:01:0${address + 2}`;
// One of "e1" and one of "e10" are two.
const sandboxOf = (id: string) => `${id}x`.padEnd(12, "0");
const ipOf = ({ address }: Endpoint) => `10.0.1.${address + 2}`;

type Change =
  | { readonly kind: "add"; readonly address: number; readonly host: number }
  | { readonly kind: "move"; readonly which: number; readonly host: number }
  | { readonly kind: "remove"; readonly which: number }
  /** A host is gone for a while: its endpoints are elsewhere, or nowhere. */
  | { readonly kind: "lose"; readonly host: number }
  /** Only now does this host hear of all that was. */
  | { readonly kind: "tell"; readonly host: number }
  /** Somebody empties a table of its kernel. */
  | { readonly kind: "meddle"; readonly host: number };

const host = fc.nat(HOSTS - 1);
const address = fc.nat(ADDRESSES - 1);
const which = fc.nat(100);
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("add" as const), address, host }) },
  fc.record({ kind: fc.constant("move" as const), which, host }),
  fc.record({ kind: fc.constant("remove" as const), which }),
  fc.record({ kind: fc.constant("lose" as const), host }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("tell" as const), host }) },
  fc.record({ kind: fc.constant("meddle" as const), host }),
);

function wantOf(self: number, truth: readonly Endpoint[]): HostWant {
  const locals: LocalEndpoint[] = [];
  const remotes: RemoteEndpoint[] = [];
  // In what order they are told says nothing.
  for (const endpoint of truth.toReversed()) {
    const common = { endpointId: endpoint.id, mac: parseMac(macOf(endpoint)) as Mac };
    const { version } = endpoint;
    if (endpoint.host !== self) {
      const vtep = ip(vtepOf(endpoint.host));
      remotes.push({ ...common, ips: [ip(ipOf(endpoint))], vtep, version });
      continue;
    }
    const prefixes = [parsePrefix(`${ipOf(endpoint)}/24`) as Prefix];
    const sandbox = { kind: "own", id: sandboxOf(endpoint.id) } as const;
    locals.push({ ...common, prefixes, interfaceName: "eth0", sandbox, version });
  }
  if (locals.length === 0) return { sandboxes: [], networks: [] };
  const vteps = new Map(remotes.map(({ vtep }) => [formatIp(vtep), vtep]));
  const network: NetworkWant = {
    ...{ networkId: "n1", name: "over", vni: VNI, mtuBytes: 1450, port: 4789, path: "kernel" },
    ...{ vtep: ip(vtepOf(self)), subnets: [parsePrefix("10.0.1.0/24") as Prefix] },
    ...{ locals, remotes, floodTo: [...vteps.values()] },
  };
  const sandboxes = locals.map(({ endpointId }) => ({ id: sandboxOf(endpointId) }));
  return { sandboxes, networks: [network] };
}

/** Where frames to a MAC go from here, as the tables have it: a port, or another host. */
function waysOf(network: FakeNetwork | undefined): Map<string, string> {
  const ways = new Map<string, string>();
  for (const [mac, port] of network?.bridgeFdb ?? []) {
    const way = port === VXLAN ? network?.fdb.get(mac) : port;
    if (way !== undefined) ways.set(mac, way);
  }
  return ways;
}

/** The same as the truth has it, of those that this host may know. */
function modelOf(self: number, truth: readonly Endpoint[]): Map<string, string> {
  const model = new Map<string, string>();
  if (!truth.some((endpoint) => endpoint.host === self)) return model;
  for (const endpoint of truth.toSorted((a, b) => a.version - b.version)) {
    const isLocal = endpoint.host === self;
    const known = model.get(macOf(endpoint));
    // What lives here holds against anything that is said of elsewhere.
    if (!isLocal && known?.startsWith("v-")) continue;
    model.set(macOf(endpoint), isLocal ? portName(endpoint.id) : vtepOf(endpoint.host));
  }
  return model;
}

function wrongOf(ways: ReadonlyMap<string, string>, model: ReadonlyMap<string, string>): string[] {
  return [...ways].filter(([mac, way]) => model.get(mac) !== way).map((pair) => pair.join(" → "));
}

class Node {
  readonly kernel: FakeKernel;
  constructor(readonly self: number) {
    this.kernel = new FakeKernel(`${vtepOf(self)}/24`);
  }

  async converge(truth: readonly Endpoint[]): Promise<void> {
    const want = wantOf(this.self, truth);
    const model = modelOf(this.self, truth);
    for (let round = 0; round < 5; round++) {
      const refs = want.networks.flatMap(({ locals }) => locals.map(({ sandbox }) => sandbox));
      const { steps, problems } = plan(want, await this.kernel.dump(refs));
      expect([...problems]).toEqual([]);
      if (steps.length === 0) break;
      for (const step of steps) {
        const before = new Set(wrongOf(this.ways(), model));
        await this.kernel.perform(step);
        const made = wrongOf(this.ways(), model).filter((way) => !before.has(way));
        expect([step.kind, made]).toEqual([step.kind, []]);
      }
    }
    expect(this.ways()).toEqual(model);
  }

  ways(): Map<string, string> {
    return waysOf(this.kernel.networks.get(VNI));
  }
}

test("after any history every host's tables are the model's, and no step on the way leads astray", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 40, size: "max" }), async (history) => {
      const nodes = Array.from({ length: HOSTS }, (_, self) => new Node(self));
      let truth: Endpoint[] = [];
      let version = 0;
      for (const each of history) {
        version++;
        const picked = "which" in each ? truth[each.which % Math.max(truth.length, 1)] : undefined;
        switch (each.kind) {
          case "add": {
            // An address is given again when its last owner is no longer on that host.
            const { address: a, host: h } = each;
            if (truth.some((old) => old.address === a && old.host === h)) break;
            truth = [...truth, { id: `e${version}`, address: a, host: h, version }];
            break;
          }
          case "move":
            if (picked === undefined) break;
            if (truth.some((o) => o.address === picked.address && o.host === each.host)) break;
            truth = truth.map((old) =>
              old === picked ? { ...old, host: each.host, version } : old,
            );
            break;
          case "remove":
            truth = truth.filter((old) => old !== picked);
            break;
          case "lose":
            truth = truth.filter((old) => old.host !== each.host);
            break;
          case "tell":
            await nodes[each.host]?.converge(truth);
            break;
          case "meddle": {
            const network = nodes[each.host]?.kernel.networks.get(VNI);
            network?.fdb.clear();
            network?.neighbours.clear();
            break;
          }
        }
      }
      for (const node of nodes) {
        await node.converge(truth);
        const network = node.kernel.networks.get(VNI);
        const wanted = wantOf(node.self, truth).networks[0];
        expect(network === undefined).toBe(wanted === undefined);
        const neighbours = new Map<string, string>();
        const here = new Set(truth.filter((e) => e.host === node.self).map(ipOf));
        for (const e of truth) if (!here.has(ipOf(e))) neighbours.set(ipOf(e), macOf(e));
        if (network === undefined) continue;
        expect(network.neighbours).toEqual(neighbours);
        expect([...network.flood].sort()).toEqual((wanted?.floodTo ?? []).map(formatIp).sort());
      }
    }),
    { numRuns: 80 },
  );
});
