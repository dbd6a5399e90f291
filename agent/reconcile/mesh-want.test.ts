import { expect, test } from "vitest";
import { formatIp, type Ip, parseIp } from "../../common/address.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { PortProtocol, PublishMode } from "../../proto/gen/service.js";
import { EndpointKind } from "../../proto/gen/types.js";
import { FakeKernel } from "../../test/fakes/kernel.js";
import { meshDevice, meshIpv6, meshMac, nodeSource, returnRules } from "./mesh-want.js";
import { plan } from "./plan.js";
import { rowsWanted } from "./rows.js";
import { type HostWant, type Owner, type Self, wantOf } from "./want.js";

const ip = (text: string) => parseIp(text) as Ip;
const mesh = { endpointId: "mesh-a", device: "skein_mesh" };
const self = {
  nodeId: "n1",
  vtep: ip("192.0.2.1"),
  port: 4789,
  path: "kernel" as const,
  mesh,
  hasIpv6: true,
};

const task = (id: string, nodeId: string, last: number) => ({
  id,
  nodeId,
  networkId: "in",
  serviceId: "s",
  kind: EndpointKind.TASK,
  ipv4: `10.0.0.${last}/24`,
  mac: `02:42:0a:00:00:0${last}`,
});
const held = (endpoints: object[]) =>
  Assignments.create({
    networks: [
      { id: "in", vni: 4096, spec: { ingress: true }, subnets: [{ cidr: "10.0.0.0/24" }] },
    ],
    endpoints,
    peers: [
      { nodeId: "n2", dataPathAddr: "192.0.2.2" },
      { nodeId: "n3", dataPathAddr: "192.0.2.3" },
    ],
    services: [
      {
        id: "s",
        ports: [
          { targetPort: 80, publishedPort: 8080, protocol: PortProtocol.TCP },
          { targetPort: 80, publishedPort: 8081, protocol: PortProtocol.TCP },
          { targetPort: 22, publishedPort: 22, publishMode: PublishMode.HOST },
        ],
      },
    ],
  });
const VIP = { id: "v", networkId: "in", serviceId: "s", kind: EndpointKind.VIP };
const OWN: ReadonlyMap<string, Owner> = new Map([
  ["t1", { sandbox: { kind: "own", id: "box" }, interfaceName: "eth0" } as const],
]);

test("addresses and MACs follow from the VTEP and the IPv4 address", () => {
  expect(meshMac(ip("192.168.33.10"))).toBe("02:53:c0:a8:21:0a");
  expect(formatIp(meshIpv6(ip("10.0.0.7")))).toBe("fd73:6b65:696e::a00:7");
  expect(formatIp(nodeSource(ip("192.0.2.1"), 6) as Ip)).toBe("fd73:6b65:696e:1::c000:201");
  expect(formatIp(nodeSource(ip("2001:db8::1"), 6))).toBe("2001:db8::1");
  expect(meshDevice("/run/skein")).toBe("skein_mesh");
  expect(meshDevice("/tmp/other")).toMatch(/^skmesh_[0-9a-f]{8}$/);
});

test("nodes of IPv6 whose addresses end alike are told apart", () => {
  const [one, two] = [ip("fd00:1::10"), ip("fd00:2::10")];
  expect(meshMac(one)).toMatch(/^02:53:(?!00:00:00:10)/);
  expect(meshMac(one)).not.toBe(meshMac(two));
  // Link-local, and nobody's: not the way back's gateway, and no cloud's service (169.254.169.254).
  for (const vtep of [one, two])
    expect(formatIp(nodeSource(vtep, 4))).toMatch(/^169\.254\.(19[2-9]|2[01]\d|22[0-3])\./);
  expect(nodeSource(one, 4)).not.toEqual(nodeSource(two, 4));
});

test("a node without a task of its own has its way into ingress while a service publishes a port", () => {
  const want = wantOf(held([VIP, task("t2", "n2", 7)]), self, new Map(), []);
  const [network] = want.networks;
  expect(network?.locals).toMatchObject([
    { interfaceName: "skein_mesh", mac: "02:53:c0:00:02:01", prefixes: [] },
  ]);
  expect(network?.locals[0]?.mesh?.neighbours).toEqual(
    new Map([
      ["10.0.0.7", "02:42:0a:00:00:07"],
      ["fd73:6b65:696e::a00:7", "02:42:0a:00:00:07"],
    ]),
  );
  expect(network && rowsWanted(network).remotes).toEqual(
    new Map([
      ["02:42:0a:00:00:07", "192.0.2.2"],
      ["02:53:c0:00:02:02", "192.0.2.2"],
      ["02:53:c0:00:02:03", "192.0.2.3"],
    ]),
  );
  expect(wantOf(held([task("t2", "n2", 7)]), self, new Map(), []).networks).toEqual([]);
});

test("a backend has the derived address, and a way back for each port that is published by the mesh", () => {
  const { networks } = wantOf(held([VIP, task("t1", "n1", 7)]), self, OWN, []);
  const local = networks[0]?.locals.find(({ endpointId }) => endpointId === "t1");
  expect(local?.prefixes.map((prefix) => `${formatIp(prefix.ip)}/${prefix.length}`)).toEqual([
    "10.0.0.7/24",
    "fd73:6b65:696e::a00:7/128",
  ]);
  expect(local?.returning).toEqual({ ports: [{ protocol: 6, port: 80 }], families: [4, 6] });
  expect(local?.returning && returnRules(local.returning)).toHaveLength(4);
});

async function settle(kernel: FakeKernel, want: HostWant): Promise<string[]> {
  const refs = want.networks.flatMap(({ locals }) => locals.map(({ sandbox }) => sandbox));
  const { steps } = plan(want, await kernel.dump(refs));
  for (const step of steps) await kernel.perform(step);
  expect(plan(want, await kernel.dump(refs)).steps).toEqual([]);
  return steps.map(({ kind }) => kind);
}

test("a backend on a machine without IPv6 of its own is reached by IPv6 from other nodes' meshes", () => {
  const box = { ...self, hasIpv6: false, sandboxesHaveIpv6: true };
  const local = (of: Self) =>
    wantOf(held([VIP, task("t1", "n1", 7)]), of, OWN, []).networks[0]?.locals.find(
      ({ endpointId }) => endpointId === "t1",
    );
  expect(local(box)?.prefixes.map(({ ip }) => ip.family)).toEqual([4, 6]);
  expect(local(box)?.returning?.families).toEqual([4, 6]);
  expect(local({ ...box, sandboxesHaveIpv6: false })?.returning?.families).toEqual([4]);
});

test("the plan makes the way in, follows the backends, and takes all away with the last port", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  const boxes = [{ id: "box" }];
  const wanted = (endpoints: object[]) => wantOf(held(endpoints), self, OWN, boxes);
  const first = await settle(kernel, wanted([VIP, task("t1", "n1", 7)]));
  expect(first).toContain("put-neighbours");
  expect(first.filter((kind) => kind === "make-endpoint")).toHaveLength(2);
  expect(first).toContain("allow-forwarding");
  const more = await settle(kernel, wanted([VIP, task("t1", "n1", 7), task("t2", "n2", 8)]));
  expect(more).toEqual(["put-rows", "put-neighbours"]);
  const fewer = await settle(kernel, wanted([VIP, task("t1", "n1", 7)]));
  expect(fewer).toEqual(["drop-rows", "drop-neighbours"]);
  const none = await settle(kernel, wanted([]));
  expect(none).toContain("remove-network");
  expect(kernel.insides.get("host")?.links.map(({ name }) => name)).toEqual(["ul0"]);
});
