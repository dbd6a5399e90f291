import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { parseMac, parseVni } from "../../common/ids.js";
import { EndpointKind } from "../../proto/gen/types.js";
import { FakeKernel } from "../../test/fakes/kernel.js";
import { NOTHING } from "../assignments/merge.js";
import { BRIDGE, LISTENER, VXLAN } from "./names.js";
import { plan } from "./plan.js";
import type { Step } from "./step.js";
import type { HostWant, LocalEndpoint, NetworkWant, SandboxRef } from "./want.js";
import { wantOf } from "./want.js";

const ip = (text: string) => parseIp(text) as Ip;
const VTEP = "192.0.2.1";

function network(
  number: number,
  locals: readonly LocalEndpoint[],
  remotes: readonly number[],
  node: number,
): NetworkWant {
  return {
    networkId: `network${number}`,
    name: `net${number}`,
    vni: parseVni(4096 + number) as NetworkWant["vni"],
    mtuBytes: 0,
    vtep: ip(VTEP),
    port: 4789,
    path: "kernel",
    subnets: [prefix(`10.0.${number}.0/24`)],
    locals,
    remotes: remotes.map((n) => ({
      endpointId: `${number}-${n}`,
      mac: macOf(number, n),
      ips: [ip(`10.0.${number}.${n}`)],
      vtep: ip(`192.0.2.${node}`),
      version: n,
    })),
    floodTo: remotes.length > 0 ? [ip(`192.0.2.${node}`)] : [],
  };
}
const prefix = (text: string) => parsePrefix(text) as Prefix;
const macOf = (a: number, b: number) =>
  parseMac(`02:42:0a:00:0${a}:${b.toString(16).padStart(2, "0")}`) as LocalEndpoint["mac"];

function local(number: number, n: number, sandbox: SandboxRef): LocalEndpoint {
  return {
    endpointId: `${number}-${n}`,
    mac: macOf(number, n),
    prefixes: [prefix(`10.0.${number}.${n}/24`)],
    interfaceName: `eth${number}`,
    sandbox,
    version: 1,
  };
}

const SANDBOXES: readonly SandboxRef[] = [
  { kind: "own", id: "aaaaaaaaaaaaaaaa" },
  { kind: "own", id: "bbbbbbbbbbbbbbbb" },
  { kind: "host" },
  { kind: "foreign", path: "/run/netns/build" },
];

/** At most one endpoint of a network in a sandbox, so that no two ask for one name. */
const wants: fc.Arbitrary<HostWant> = fc
  .array(
    fc.record({
      places: fc.subarray([0, 1, 2, 3], { minLength: 1 }),
      shift: fc.nat(3),
      remotes: fc.subarray([10, 11, 12, 13, 14]),
      node: fc.constantFrom(2, 3),
    }),
    { maxLength: 3 },
  )
  .map((shapes) => {
    const networks = shapes.map(({ places, shift, remotes, node }, i) => {
      const locals = places.map((place) =>
        local(i + 1, 2 + place + shift, SANDBOXES[place] ?? { kind: "host" }),
      );
      return network(i + 1, locals, remotes, node);
    });
    const ids = new Set(
      networks.flatMap(({ locals }) =>
        locals.flatMap(({ sandbox }) => (sandbox.kind === "own" ? [sandbox.id] : [])),
      ),
    );
    return { sandboxes: [...ids].map((id) => ({ id })), networks };
  });

function freshKernel(): FakeKernel {
  const kernel = new FakeKernel(`${VTEP}/24`);
  const foreign = kernel.newLink("eth0", "veth", 1500);
  kernel.insides.set("foreign:/run/netns/build", { links: [foreign], addresses: [], routes: [] });
  return kernel;
}

async function look(kernel: FakeKernel, want: HostWant) {
  return plan(want, await kernel.dump(SANDBOXES));
}
async function converge(kernel: FakeKernel, want: HostWant): Promise<void> {
  for (const step of (await look(kernel, want)).steps) await kernel.perform(step);
}

/** Things that people and crashes do. */
const harms: readonly ((kernel: FakeKernel, pick: number) => void)[] = [
  (kernel, pick) => onNetwork(kernel, pick, (net) => kernel.removeLink(net, VXLAN)),
  (kernel, pick) => onNetwork(kernel, pick, (net) => kernel.removeLink(net, BRIDGE)),
  (kernel, pick) =>
    onNetwork(kernel, pick, (net) =>
      kernel.removeLink(net, [...net.links.keys()][pick % net.links.size] ?? ""),
    ),
  (kernel, pick) =>
    onNetwork(kernel, pick, (net) => {
      const [name, link] = [...net.links][pick % net.links.size] ?? [];
      if (name && link) net.links.set(name, { ...link, up: false, mtuBytes: 900 });
    }),
  (kernel, pick) =>
    onNetwork(kernel, pick, (net) => net.fdb.set("02:42:0a:00:01:0a", "192.0.2.99")),
  (kernel, pick) => onNetwork(kernel, pick, (net) => net.bridgeFdb.set("02:42:0a:00:01:02", VXLAN)),
  (kernel, pick) =>
    onNetwork(kernel, pick, (net) => net.neighbours.set("10.0.1.200", "02:42:0a:00:01:c8")),
  (kernel, pick) => onNetwork(kernel, pick, (net) => net.flood.add("192.0.2.77")),
  (kernel, pick) => onNetwork(kernel, pick, (net) => net.neighbours.clear()),
  (kernel, pick) =>
    onNetwork(kernel, pick, (net) => {
      const link = net.links.get(VXLAN);
      if (link?.vxlan) net.links.set(VXLAN, { ...link, vxlan: { ...link.vxlan, port: 8472 } });
    }),
  (kernel) => kernel.insides.set("sb-cccccccccccc", { links: [], addresses: [], routes: [] }),
  (kernel, pick) => {
    const inside = [...kernel.insides.values()][pick % kernel.insides.size];
    if (inside) inside.addresses = inside.addresses.filter(({ prefix: p }) => p.startsWith("192."));
  },
];
function onNetwork(
  kernel: FakeKernel,
  pick: number,
  harm: (net: NonNullable<ReturnType<FakeKernel["networks"]["get"]>>) => void,
): void {
  const net = [...kernel.networks.values()][pick % kernel.networks.size];
  // Rows need their device.
  if (net?.links.has(BRIDGE) && net.links.has(VXLAN)) harm(net);
}
const meddling = fc.array(fc.tuple(fc.nat(harms.length - 1), fc.nat(20)), { maxLength: 4 });

function foreignLinks(kernel: FakeKernel): unknown {
  return [...kernel.insides].map(([key, inside]) => [
    key,
    inside.links.filter(({ alias }) => alias === ""),
  ]);
}

describe("from whatever is there", () => {
  test("the plan reaches what is wanted, and then there is nothing to do", async () => {
    await fc.assert(
      fc.asyncProperty(wants, meddling, wants, async (earlier, harm, want) => {
        const kernel = freshKernel();
        await converge(kernel, earlier);
        for (const [which, pick] of harm) harms[which]?.(kernel, pick);
        const strangers = foreignLinks(kernel);
        await converge(kernel, want);
        expect(await look(kernel, want)).toEqual({ steps: [], problems: new Map() });
        const kept = foreignLinks(kernel) as [string, unknown][];
        for (const [key, links] of strangers as [string, unknown][]) {
          const still = kept.find(([other]) => other === key);
          if (still !== undefined) expect(still[1]).toEqual(links);
          else expect(key).toMatch(/^sb-/);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a plan that is cut off anywhere is finished by the next", async () => {
    await fc.assert(
      fc.asyncProperty(wants, meddling, wants, fc.nat(30), async (earlier, harm, want, cut) => {
        const kernel = freshKernel();
        await converge(kernel, earlier);
        for (const [which, pick] of harm) harms[which]?.(kernel, pick);
        for (const step of (await look(kernel, want)).steps.slice(0, cut))
          await kernel.perform(step);
        await converge(kernel, want);
        expect((await look(kernel, want)).steps).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("a row that stays is never taken away on the way", async () => {
    await fc.assert(
      fc.asyncProperty(wants, wants, async (earlier, want) => {
        const kernel = freshKernel();
        await converge(kernel, earlier);
        const before = structuredClone(kernel.networks);
        const stays = want.networks.flatMap((net) =>
          net.remotes.flatMap(({ mac }) =>
            before.get(net.vni)?.fdb.has(mac) ? [{ vni: net.vni, mac }] : [],
          ),
        );
        for (const step of (await look(kernel, want)).steps) {
          await kernel.perform(step);
          for (const { vni, mac } of stays)
            expect(kernel.networks.get(vni)?.fdb.has(mac)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("while the data path port is being changed", () => {
  const moving = fc
    .tuple(wants, fc.constantFrom(4789, 5000, 6000), fc.constantFrom(0, 4789, 5000, 6000))
    .map(
      ([want, port, also]): HostWant => ({
        ...want,
        networks: want.networks.map((net) => ({
          ...net,
          port,
          ...(also !== 0 && also !== port && { also }),
        })),
      }),
    );

  test("whatever the ports were, they become what is wanted", async () => {
    await fc.assert(
      fc.asyncProperty(moving, moving, fc.nat(30), moving, async (earlier, between, cut, want) => {
        const kernel = freshKernel();
        await converge(kernel, earlier);
        for (const step of (await look(kernel, between)).steps.slice(0, cut))
          await kernel.perform(step);
        await converge(kernel, want);
        expect((await look(kernel, want)).steps).toEqual([]);
        for (const { vni, port, also } of want.networks) {
          const links = kernel.networks.get(vni)?.links;
          expect(links?.get(VXLAN)?.vxlan?.port).toBe(port);
          expect(links?.get(LISTENER)?.vxlan?.port).toBe(also);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("no VXLAN device goes before all rows lead to the other", async () => {
    const kernel = freshKernel();
    const at = (port: number, also?: number): HostWant => {
      const net = network(1, [local(1, 2, { kind: "host" })], [10, 11], 2);
      return { sandboxes: [], networks: [{ ...net, port, ...(also && { also }) }] };
    };
    await converge(kernel, at(4789));
    const steps: string[][] = [];
    for (const want of [at(4789, 5000), at(5000, 4789), at(5000)]) {
      steps.push(kinds((await look(kernel, want)).steps));
      await converge(kernel, want);
    }
    expect(steps).toEqual([
      ["make-listener"],
      ["swap-vxlan", "make-vxlan", "put-rows", "make-listener"],
      ["remove-listener"],
    ]);
  });
});

const own: SandboxRef = { kind: "own", id: "aaaaaaaaaaaaaaaa" };
const kinds = (steps: readonly Step[]) => steps.map((step) => step.kind);

test("an endpoint comes last, when all that its first frame needs is there", async () => {
  const want = { sandboxes: [{ id: own.id }], networks: [network(1, [local(1, 2, own)], [10], 2)] };
  expect(kinds((await look(freshKernel(), want)).steps)).toEqual([
    "make-sandbox",
    "make-network",
    "make-vxlan",
    "put-rows",
    "make-endpoint",
  ]);
});

test("a peer that moves to another node is one row put, and stale flooding goes after", async () => {
  const kernel = freshKernel();
  const at = (node: number) => ({
    sandboxes: [{ id: own.id }],
    networks: [network(1, [local(1, 2, own)], [10], node)],
  });
  await converge(kernel, at(2));
  const { steps } = await look(kernel, at(3));
  expect(steps.map((step) => ("rows" in step ? [step.kind, step.rows] : step.kind))).toEqual([
    [
      "put-rows",
      [
        { kind: "flood", vtep: "192.0.2.3" },
        { kind: "remote", mac: "02:42:0a:00:01:0a", vtep: "192.0.2.3" },
      ],
    ],
    ["drop-rows", [{ kind: "flood", vtep: "192.0.2.2" }]],
  ]);
});

test("of two remote endpoints with one address the later version holds", async () => {
  const base = network(1, [local(1, 2, own)], [], 2);
  const claim = (version: number, node: number) => ({
    endpointId: `v${version}`,
    mac: macOf(1, 10),
    ips: [ip("10.0.1.10")],
    vtep: ip(`192.0.2.${node}`),
    version,
  });
  const want = {
    sandboxes: [{ id: own.id }],
    networks: [{ ...base, remotes: [claim(9, 3), claim(8, 2)] }],
  };
  const kernel = freshKernel();
  await converge(kernel, want);
  expect(kernel.networks.get(4097)?.fdb.get("02:42:0a:00:01:0a")).toBe("192.0.2.3");
});

test("a VTEP that no interface has is a problem in words, and what stands is left standing", async () => {
  const kernel = freshKernel();
  const want = { sandboxes: [{ id: own.id }], networks: [network(1, [local(1, 2, own)], [10], 2)] };
  const elsewhere = {
    ...want,
    networks: want.networks.map((n) => ({ ...n, vtep: ip("198.51.100.7") })),
  };
  const { steps, problems } = await look(kernel, elsewhere);
  expect(kinds(steps)).toEqual(["make-sandbox"]);
  expect(problems.get("network1")).toBe(
    "The data path address 198.51.100.7 is on no interface of this machine.",
  );
  await converge(kernel, want);
  const host = kernel.insides.get("host");
  if (host) host.addresses = [];
  expect((await look(kernel, want)).steps).toEqual([]);
});

test("ten thousand rows are planned in well under a second", async () => {
  const base = network(1, [local(1, 2, own)], [], 2);
  const remotes = Array.from({ length: 10_000 }, (_, i) => ({
    endpointId: `r${i}`,
    mac: parseMac(`02:42:0b:00:${byte(i >> 8)}:${byte(i & 255)}`) as LocalEndpoint["mac"],
    ips: [ip(`11.0.${i >> 8}.${i & 255}`)],
    vtep: ip("192.0.2.2"),
    version: i,
  }));
  const want = { sandboxes: [{ id: own.id }], networks: [{ ...base, remotes }] };
  const kernel = freshKernel();
  await converge(kernel, want);
  const have = await kernel.dump(SANDBOXES);
  const startMs = performance.now();
  expect(plan(want, have).steps).toEqual([]);
  // Choice: ten times what it takes here.
  expect(performance.now() - startMs).toBeLessThan(500);
});
const byte = (n: number) => n.toString(16).padStart(2, "0");

test("a network is wanted only where an endpoint of it has an owner here", () => {
  const net = { id: "n1", vni: 4097, spec: undefined, subnets: [], mtuBytes: 0, meta: undefined };
  const endpoint = (id: string, nodeId: string, last: number) => ({
    id,
    networkId: "n1",
    nodeId,
    mac: `02:42:0a:00:01:0${last}`,
    ipv4: `10.0.1.${last}/24`,
    ipv6: "",
    meta: undefined,
    kind: 0,
    name: "",
    aliases: [],
    ownerId: "",
    hostname: "",
    serviceId: "",
    serving: false,
  });
  // A service's address is nobody's interface, here or there.
  const vip = { ...endpoint("vip", "", 9), kind: EndpointKind.VIP };
  const assignments = {
    ...NOTHING,
    revision: 1,
    networks: [net],
    endpoints: [endpoint("e1", "me", 2), endpoint("e2", "you", 3), vip],
    peers: [
      { nodeId: "you", dataPathAddr: "192.0.2.2", hostname: "h2", version: 1, silent: false },
    ],
  };
  const self = { nodeId: "me", vtep: ip(VTEP), port: 4789, path: "kernel" as const };
  expect(wantOf(assignments, self, new Map(), []).networks).toEqual([]);
  const owners = new Map([["e1", { sandbox: own, interfaceName: "eth0" }]]);
  const [want] = wantOf(assignments, self, owners, []).networks;
  expect(want?.locals.map(({ endpointId }) => endpointId)).toEqual(["e1"]);
  expect(want?.remotes.map(({ endpointId }) => endpointId)).toEqual(["e2"]);
  expect(want?.floodTo).toEqual([ip("192.0.2.2")]);
});
