import { expect, test } from "vitest";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { type Endpoint, EndpointKind, PolicyProtocol } from "../../proto/gen/types.js";
import { type Reach, reachOf } from "../reach/reach.js";
import type { TableWant } from "../reconcile/table-want.js";
import type { ResolverPorts } from "./chains.js";
import { Balance, type Inhabited } from "./tables.js";

interface Service {
  readonly net: number;
  readonly vip: number;
  /** Last parts of the addresses of backends; negative: it does not serve. */
  readonly backends: readonly number[];
  readonly affinity?: boolean;
  readonly v6?: boolean;
}

const address = (net: number, last: number, v6 = false) => ({
  ipv4: `10.0.${net}.${last}/24`,
  ipv6: v6 ? `fd00:${net}::${last.toString(16)}/64` : "",
});
const hex4 = (net: number, last: number) => Buffer.from([10, 0, net, last]).toString("hex");
const hex6 = (net: number, last: number) =>
  `fd00${net.toString(16).padStart(4, "0")}${last.toString(16).padStart(24, "0")}`;
const numbered = (vip: string, n: number) => `${vip}${Buffer.from([n, 0, 0, 0]).toString("hex")}`;

/** Endpoints are objects of their own, as a session's: the same text is the same object. */
const known = new Map<string, object>();
function one<T extends object>(row: T): T {
  const text = JSON.stringify(row);
  const had = known.get(text) as T | undefined;
  if (had === undefined) known.set(text, row);
  return had ?? row;
}

/** The node's own endpoint on each network ends with 250. */
function held(services: readonly Service[], more: object = {}): Assignments {
  const nets = [...new Set(services.map(({ net }) => net))];
  return Assignments.create({
    networks: nets.map((net) =>
      one({
        id: `n${net}`,
        subnets: [
          { cidr: `10.0.${net}.0/24` },
          ...(services.some((each) => each.net === net && each.v6)
            ? [{ cidr: `fd00:${net}::/64` }]
            : []),
        ],
      }),
    ),
    endpoints: [
      ...nets.map((net) =>
        one({
          id: `own${net}`,
          networkId: `n${net}`,
          nodeId: "me",
          kind: EndpointKind.ATTACHMENT,
          ...address(net, 250, true),
        }),
      ),
      ...services.flatMap(({ net, vip, backends, v6 }) => [
        one({
          id: `vip${net}.${vip}`,
          networkId: `n${net}`,
          serviceId: `s${vip}`,
          kind: EndpointKind.VIP,
          ...address(net, vip, v6),
        }),
        ...backends.map((last) =>
          one({
            id: `task${net}.${Math.abs(last)}`,
            networkId: `n${net}`,
            nodeId: "other",
            serviceId: `s${vip}`,
            serving: last > 0,
            kind: EndpointKind.TASK,
            ...address(net, Math.abs(last), v6),
          }),
        ),
      ]),
    ],
    services: services.map(({ vip, affinity }) =>
      one({ id: `s${vip}`, name: `web${vip}`, affinity: affinity === true }),
    ),
    ...more,
  });
}

class World {
  readonly #balance = new Balance(() => "skein");
  #reach: Reach | undefined;

  constructor(private readonly sandboxes = 1) {}

  tables(services: readonly Service[], more: object = {}, serviceId = ""): readonly TableWant[] {
    this.#reach = reachOf(held(services, more), "me", this.#reach);
    const { networks } = this.#reach;
    const insides = [...networks.values()].map((network) => {
      const [endpoint] = network.own.values();
      if (endpoint === undefined) throw new Error("no own endpoint");
      const mine: Endpoint = serviceId === "" ? endpoint : { ...endpoint, serviceId };
      return { network, endpoint: mine, interfaceName: `eth${network.network.id.slice(1)}` };
    });
    const inhabited = Array.from({ length: this.sandboxes }, (_, i): Inhabited => {
      return { sandbox: { kind: "own", id: `c${i}` }, insides, resolver: undefined };
    });
    return this.#balance.tables(this.#reach, inhabited).flatMap(({ tables }) => tables);
  }

  table(...args: Parameters<World["tables"]>): TableWant {
    const [table] = this.tables(...args);
    if (table === undefined) throw new Error("no table");
    return table;
  }
}

function elements(table: TableWant, name: string): ReadonlyMap<string, string> {
  return table.maps.find((map) => map.name === name)?.elements ?? new Map();
}
const chainNames = (table: TableWant) => table.chains.map(({ name }) => name);

/** Puts and deletions of elements between two tables: what a transaction holds. */
function changes(before: TableWant, now: TableWant): number {
  let count = 0;
  for (const map of now.maps) {
    const had = elements(before, map.name);
    for (const [key, value] of map.elements) if (had.get(key) !== value) count++;
    for (const key of had.keys()) if (!map.elements.has(key)) count++;
  }
  return count;
}

test.each(Array.from({ length: 20 }, (_, i) => i + 1))(
  "each of %i backends has one number, and each number is as likely",
  (count) => {
    const backends = Array.from({ length: count }, (_, i) => 10 + i);
    const table = new World().table([{ net: 1, vip: 2, backends }]);
    expect(elements(table, "vips")).toEqual(new Map([[hex4(1, 2), `pick-${count}`]]));
    const numbers = backends.map((_, n) =>
      elements(table, "backends").get(numbered(hex4(1, 2), n)),
    );
    expect(numbers.toSorted()).toEqual(backends.map((last) => hex4(1, last)));
    const pick = table.chains.find(({ name }) => name === `pick-${count}`);
    expect(pick?.rules[0]?.expressions).toContainEqual({ kind: "random", to: 1, modulus: count });
  },
);

test("one more backend, and one less, is a few elements and no rule of its own", () => {
  const world = new World();
  const five = [11, 12, 13, 14, 15];
  const before = world.table([{ net: 1, vip: 2, backends: five }]);
  const more = world.table([{ net: 1, vip: 2, backends: [10, ...five] }]);
  // Its number, its membership, and the VIP's way.
  expect(changes(before, more)).toBe(3);
  const less = world.table([{ net: 1, vip: 2, backends: five.slice(1) }]);
  expect(changes(more, less)).toBeLessThanOrEqual(8);
  expect(chainNames(less)).toEqual(["output", "pick-4", "refuse", "no"]);
});

test("a thousand services have the rules of one", () => {
  const services = Array.from({ length: 1000 }, (_, i) => ({
    net: i >> 6,
    vip: 1 + (i & 63),
    backends: [100 + (i & 63)],
  }));
  const one = new World().table([{ net: 1, vip: 2, backends: [3] }]);
  expect(chainNames(new World().table(services))).toEqual(chainNames(one));
});

test("a VIP without a usable backend is refused, and its members are known", () => {
  const table = new World().table([
    { net: 1, vip: 2, backends: [-3] },
    { net: 1, vip: 9, backends: [] },
  ]);
  expect([...elements(table, "refused").keys()]).toEqual([hex4(1, 2), hex4(1, 9)]);
  expect([...elements(table, "vips").keys()]).toEqual([]);
  expect([...elements(table, "members").keys()]).toEqual([hex4(1, 3)]);
});

test("the last backend leaves: in one step its VIP is refused, and while it drains it is a member", () => {
  const world = new World();
  world.table([{ net: 1, vip: 2, backends: [3] }]);
  const table = world.table([{ net: 1, vip: 2, backends: [-3] }]);
  expect(elements(table, "refused").has(hex4(1, 2))).toBe(true);
  expect(elements(table, "backends").size).toBe(0);
  expect(elements(table, "members").has(hex4(1, 3))).toBe(true);
  expect(elements(world.table([{ net: 1, vip: 2, backends: [] }]), "members").size).toBe(0);
});

test("of a service with affinity a sandbox keeps one backend, the same in both families", () => {
  const world = new World();
  const backends = [10, 11, 12, 13];
  const service = { net: 1, vip: 2, affinity: true, v6: true };
  const table = world.table([{ ...service, backends }]);
  const keeps = elements(table, "sticky").get(hex4(1, 2)) ?? "";
  const last = Number.parseInt(keeps.slice(-2), 16);
  expect(backends).toContain(last);
  expect(elements(table, "sticky6").get(hex6(1, 2))).toBe(hex6(1, last));
  expect(elements(table, "vips").size).toBe(0);
  for (const gone of backends.filter((each) => each !== last)) {
    const less = world.table([{ ...service, backends: backends.filter((each) => each !== gone) }]);
    expect(elements(less, "sticky").get(hex4(1, 2))).toBe(keeps);
  }
});

test("on two networks each VIP leads to backends on its own", () => {
  const table = new World().table([
    { net: 1, vip: 2, backends: [3] },
    { net: 7, vip: 2, backends: [4] },
  ]);
  expect(elements(table, "backends")).toEqual(
    new Map([
      [numbered(hex4(1, 2), 0), hex4(1, 3)],
      [numbered(hex4(7, 2), 0), hex4(7, 4)],
    ]),
  );
});

test("both families have their own maps and chains", () => {
  const table = new World().table([{ net: 1, vip: 2, backends: [3], v6: true }]);
  expect(elements(table, "vips6")).toEqual(new Map([[hex6(1, 2), "pick6-1"]]));
  expect(chainNames(table)).toEqual(["output", "pick-1", "pick6-1", "refuse", "no"]);
});

test("sandboxes on the same networks share their elements, and what did not change is the same object", () => {
  const world = new World(2);
  const services = [
    { net: 1, vip: 2, backends: [3] },
    { net: 1, vip: 4, backends: [5], affinity: true },
  ];
  const [first, second] = world.tables(services);
  expect(first?.maps[0]?.elements).toBe(second?.maps[0]?.elements);
  expect(world.tables(services)[0]).toBe(first);
  const [other] = world.tables([...services, { net: 1, vip: 8, backends: [] }]);
  expect(other).not.toBe(first);
});

test("a sandbox on no network has a table for its resolver only", () => {
  const balance = new Balance(() => "skein");
  const reach = reachOf(held([]), "me");
  const of = (resolver: ResolverPorts | undefined) =>
    balance.tables(reach, [{ sandbox: { kind: "own", id: "c" }, insides: [], resolver }]);
  expect(of(undefined)).toEqual([]);
  const [table] = of({ udp: 40053, tcp: 40054 })[0]?.tables ?? [];
  expect(table?.chains.map(({ name, rules }) => [name, rules.length])).toEqual([["output", 2]]);
  expect(table?.maps).toEqual([]);
});

test("policy: sources, protocols and ports that may begin; attachments are allowed nothing", () => {
  const services = [
    { net: 1, vip: 2, backends: [3, -4] },
    { net: 1, vip: 9, backends: [] },
  ];
  const deny = {
    id: "n1",
    subnets: [{ cidr: "10.0.1.0/24" }],
    spec: { driverOpts: { "skein.policy": "deny" } },
  };
  const policy = (fromServiceId: string, ...ports: object[]) => ({
    networks: [deny],
    policies: [{ id: "p", networkId: "n1", toServiceId: "s9", fromServiceId, ports }],
  });
  const link = Buffer.from("eth1".padEnd(16, "\0")).toString("hex");
  const allowed = (more: object, serviceId: string) => [
    ...elements(new World().table(services, more, serviceId), "allowed").keys(),
  ];
  const tcp80 = { protocol: PolicyProtocol.TCP, port: 80 };
  expect(allowed(policy("s2", tcp80), "s9")).toEqual([
    `${link}${hex4(1, 3)}0600000000500000`,
    `${link}${hex4(1, 4)}0600000000500000`,
  ]);
  expect(allowed(policy("", { protocol: PolicyProtocol.UDP, port: 0 }), "s9")).toEqual([
    `${link}000000001100000000000000`,
  ]);
  expect(allowed(policy("s2"), "s9")[0]).toBe(`${link}${hex4(1, 3)}0000000000000000`);
  expect(allowed(policy("s2", tcp80), "s2")).toEqual([]);
  expect(allowed(policy("", tcp80), "")).toEqual([]);
  const table = new World().table(services, policy("", tcp80));
  expect([...elements(table, "denied").keys()]).toEqual([link]);
  expect(chainNames(table)).toContain("judge");
  expect(chainNames(new World().table(services))).not.toContain("judge");
});
