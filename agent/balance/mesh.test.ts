import { expect, test } from "vitest";
import { type Ip, parseIp } from "../../common/address.js";
import { Assignments, IngressMode, type ServiceRow } from "../../proto/gen/dispatcher.js";
import { PortProtocol } from "../../proto/gen/service.js";
import { EndpointKind } from "../../proto/gen/types.js";
import * as nft from "../netlink/nftables-constants.js";
import { reachOf } from "../reach/reach.js";
import { from } from "../reconcile/rule-words.js";
import type { TableWant } from "../reconcile/table-want.js";
import { meshTable } from "./mesh.js";
import { returnTables } from "./mesh-return.js";
import { meshPorts } from "./published.js";

const node = {
  nodeId: "n1",
  vtep: parseIp("192.0.2.1") as Ip,
  hasIpv6: true,
  device: "skein_mesh",
  table: "skein_mesh",
  bridges: [],
};

interface Shape {
  readonly id: string;
  readonly port: number;
  readonly more?: Partial<ServiceRow>;
  /** Node, and whether it serves. */
  readonly tasks: readonly (readonly [string, boolean])[];
}

function reach(...shapes: readonly Shape[]) {
  const endpoints = shapes.flatMap(({ id, tasks }, s) => [
    { id: `v${id}`, networkId: "in", serviceId: id, kind: EndpointKind.VIP },
    ...tasks.map(([nodeId, serving], i) => ({
      ...{ id: `${id}${i}`, networkId: "in", serviceId: id, kind: EndpointKind.TASK },
      ...{ nodeId, serving, ipv4: `10.0.${s}.${i + 2}/16` },
    })),
  ]);
  const services = shapes.map(({ id, port, more }) => ({
    id,
    name: id,
    ports: [{ protocol: PortProtocol.TCP, targetPort: 80, publishedPort: port }],
    ...more,
  }));
  const networks = [{ id: "in", spec: { ingress: true } }];
  return reachOf(Assignments.create({ networks, endpoints, services }), node.nodeId);
}

const table = (...shapes: readonly Shape[]) =>
  meshTable(reach(...shapes), node, () => true) as TableWant;
const elements = (from: TableWant, name: string) =>
  Object.fromEntries(from.maps.find((map) => map.name === name)?.elements ?? []);
const TCP_8080 = "060000001f900000";
const rulesOf = ({ chains }: TableWant) =>
  chains.flatMap(({ name, rules }) => rules.map(({ comment }) => `${name}: ${comment}`));

test("a published port leads to one of the usable backends", () => {
  const made = table({
    ...{ id: "web", port: 8080 },
    tasks: [
      ["n1", true],
      ["n2", true],
      ["n3", false],
    ],
  });
  expect(elements(made, "ports")).toEqual({ [TCP_8080]: "pick-2" });
  expect(elements(made, "backends")).toEqual({
    [`${TCP_8080}00000000`]: "0a00000200500000",
    [`${TCP_8080}01000000`]: "0a00000300500000",
  });
  expect(Object.keys(elements(made, "known"))).toEqual(["0a000002", "0a000003", "0a000004"]);
  expect(Object.values(elements(made, "backends6"))[0]).toBe(
    "fd736b65696e0000000000000a00000200500000",
  );
});

const cases: readonly {
  readonly name: string;
  readonly shape: Omit<Shape, "id" | "port">;
  readonly ports: Record<string, string>;
}[] = [
  { name: "no usable backend: refused", shape: { tasks: [["n1", false]] }, ports: {} },
  {
    name: "local: those of this node alone",
    shape: {
      tasks: [
        ["n1", true],
        ["n2", true],
      ],
      more: { ingress: IngressMode.LOCAL },
    },
    ports: { [TCP_8080]: "pick-1" },
  },
  {
    name: "local, and none is here: refused",
    shape: { tasks: [["n2", true]], more: { ingress: IngressMode.LOCAL } },
    ports: {},
  },
  {
    name: "affinity: by the client's address",
    shape: { tasks: [["n2", true]], more: { affinity: true } },
    ports: { [TCP_8080]: "hash-1" },
  },
];
for (const { name, shape, ports } of cases) {
  test(name, () => {
    const made = table({ id: "web", port: 8080, ...shape });
    expect(elements(made, "ports")).toEqual(ports);
    expect(elements(made, "published")).toEqual({ [TCP_8080]: "" });
  });
}

test("two hundred services cost elements, and not one rule more than one does", () => {
  const tasks = [
    ["n1", true],
    ["n2", true],
  ] as const;
  const many = Array.from({ length: 200 }, (_, i) => ({ id: `s${i}`, port: 30_000 + i, tasks }));
  expect(rulesOf(table(...many))).toEqual(rulesOf(table({ id: "s", port: 1, tasks })));
});

test("a port that another program has is not taken", () => {
  const two = reach(
    { id: "web", port: 8080, tasks: [["n1", true]] },
    { id: "ssh", port: 22, tasks: [["n1", true]] },
  );
  expect(meshPorts(two)).toEqual([
    { protocol: "tcp", port: 22, name: "ssh" },
    { protocol: "tcp", port: 8080, name: "web" },
  ]);
  const made = meshTable(two, node, ({ port }) => port !== 22) as TableWant;
  expect(Object.keys(elements(made, "published"))).toEqual([TCP_8080]);
});

test("nothing is published: there is no table", () => {
  expect(meshTable(reach(), node, () => true)).toBeUndefined();
});

test("snat: the service's backends are given this node's source", () => {
  const made = table({
    ...{ id: "web", port: 8080, tasks: [["n2", true]] },
    more: { ingress: IngressMode.SNAT },
  });
  expect(Object.keys(elements(made, "hidden"))).toEqual(["0a000002"]);
});

test("in a sandbox, only the interface on ingress is spoken of", () => {
  const [inet, netdev] = returnTables("skein_mesh", "eth2");
  const chains = inet?.chains ?? [];
  expect(chains.map(({ name }) => name)).toEqual(["tell_apart", "input", "prerouting", "output"]);
  const cameBy = chains.filter(({ base }) => base?.hook === nft.NF_INET_PRE_ROUTING);
  for (const rule of cameBy.flatMap(({ rules }) => rules)) {
    expect(JSON.stringify(rule)).toContain(JSON.stringify(from("iifname", "eth2")).slice(1, -1));
  }
  expect(netdev?.chains[0]?.base?.devices).toEqual(["eth2"]);
});
