import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { isRefusal } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { AttachRequest } from "../../proto/gen/dispatcher.js";
import { Endpoint, EndpointKind, Network } from "../../proto/gen/types.js";
import type { NamespaceHave } from "../reconcile/have.js";
import type { Kernel } from "../reconcile/kernel.js";
import type { HostWant } from "../reconcile/want.js";
import type { Applier } from "./apply.js";
import { HeldAssignments } from "./held-assignments.js";
import type { Member } from "./member.js";
import { Places } from "./places.js";

const meta = { version: 5, createdVersion: 5, createdAtMs: 0, updatedAtMs: 0 };
const network = Network.create({
  id: "n",
  meta,
  vni: 4097,
  subnets: [{ cidr: "10.0.1.0/24", gateway: "10.0.1.1", ipRange: "" }],
});
const endpoint = Endpoint.create({
  id: "e",
  meta,
  networkId: "n",
  nodeId: "me",
  ipv4: "10.0.1.2/24",
  mac: "02:42:0a:00:01:02",
});
const request = AttachRequest.create({ endpointId: "e", network: "n" });
const place = { sandbox: { kind: "host" }, interfaceName: "sk-n" } as const;

function world(underlay: Partial<NamespaceHave> = {}) {
  const wants: HostWant[] = [];
  const state = { wants, nowMs: 1_000_000, detached: [] as string[] };
  const applier = {
    set: (want: HostWant) => void wants.push(want),
    settled: async () => {},
    look: () => {},
    problems: () => new Map([["n", "no VXLAN in this kernel"]]),
  } as unknown as Applier;
  const kernel = {
    inside: () => ({ links: [], addresses: [], routes: [], ...underlay }),
    hasIpv6: () => true,
    underlay: () => ({ links: [], addresses: [], routes: [] }),
  } as unknown as Kernel;
  const clock = { ...systemClock, monotonicMs: () => state.nowMs };
  const places = new Places(applier, kernel, "/run/x", clock, DEFAULT_TIMING, () => "kernel");
  const journal = { load: async () => undefined, save: async () => {}, clear: async () => {} };
  const held = new HeldAssignments(undefined, "me", journal, clock, DEFAULT_TIMING, silentLogger());
  const member = {
    record: { nodeId: "me", dataPathAddr: "192.0.2.1", dataPathPort: 4789 },
    held,
    session: { kind: "open" },
    link: {
      attach: async () => ({ endpoint, network }),
      detach: async (id: string) => void state.detached.push(id),
    },
  } as unknown as Member;
  return { places, held, member, state };
}

test("nothing is asked of the kernel before all that lives here is declared again", () => {
  const { places, member, held, state } = world();
  places.setMember(member);
  held.addOwn(endpoint, network);
  places.own("e", place);
  expect(state.wants).toEqual([]);
  places.restored();
  expect(state.wants).toHaveLength(1);
  expect(state.wants[0]?.networks).toMatchObject([
    { vni: 4097, locals: [{ endpointId: "e", interfaceName: "sk-n" }] },
  ]);
});

test("an endpoint that was given and declared is wanted, and not after it was disowned", async () => {
  const { places, member, held, state } = world();
  places.setMember(member);
  places.restored();
  await places.attach(request);
  places.own("e", place);
  expect(state.wants.at(-1)?.networks).toHaveLength(1);
  expect(places.netnsOf("e")).toBeUndefined();
  expect(places.problem("e")).toBe("no VXLAN in this kernel");
  await places.disown("e");
  expect(state.wants.at(-1)?.networks).toHaveLength(0);
  expect(places.netnsOf("e")).toBe("absent");
  await places.detach("e");
  expect(held.current.endpoints).toEqual([]);
});

test("a place on a network has a table with its VIPs, and a resolver alone has one too", async () => {
  const { places, member, held, state } = world();
  places.setMember(member);
  places.restored();
  held.addOwn(endpoint, network);
  const own = (id: string) => ({ kind: "own", id }) as const;
  places.own("e", { sandbox: own("c1"), interfaceName: "eth0" });
  places.setNames("c2", { udp: 1053, tcp: 1053 });
  const tables = state.wants.at(-1)?.tables ?? [];
  expect(tables.map(({ sandbox, tables: [table] }) => [sandbox, table?.name])).toEqual([
    [own("c2"), "skein"],
    [own("c1"), "skein"],
    [{ kind: "host" }, "skein_guard"],
    [{ kind: "network", vni: 4097 }, "skein_guard"],
  ]);
  expect(tables.map(({ tables: [table] }) => table?.maps.length).slice(0, 2)).toEqual([0, 5]);
  places.own("e", place);
  const [, machine] = state.wants.at(-1)?.tables ?? [];
  expect(machine).toMatchObject({ sandbox: { kind: "host" } });
  expect(machine?.tables[0]?.name).toMatch(/_vips$/);
});

test("leaving the swarm withdraws its networks and keeps the sandboxes", async () => {
  const { places, member, state } = world();
  places.setMember(member);
  places.restored();
  await places.attach(request);
  places.own("e", place);
  expect(places.sandbox("0123456789abcdef")).toBe("/run/x/netns/sb-0123456789ab");
  places.setMember(undefined);
  expect(state.wants.at(-1)).toEqual({
    sandboxes: [{ id: "0123456789abcdef" }],
    networks: [],
    tables: [],
  });
  const answer = await places.attach(request);
  expect(isRefusal(answer) && answer.message).toBe("network n not found");
});

test("what the swarm gave and nothing here has is an orphan, but not while it is being made", async () => {
  const { places, member, held, state } = world();
  places.setMember(member);
  held.addOwn({ ...endpoint, id: "lost" }, network);
  held.addOwn({ ...endpoint, id: "of a task", kind: EndpointKind.TASK }, network);
  expect(places.orphans()).toEqual([]);
  places.restored();
  expect(places.orphans()).toEqual(["lost"]);
  await places.attach(request);
  expect(places.orphans()).toEqual(["lost"]);
  state.nowMs += 10 * DEFAULT_TIMING.requestMs;
  expect(places.orphans()).toEqual(["e", "lost"]);
  places.own("e", place);
  expect(places.orphans()).toEqual(["lost"]);
});

test("with no session a detach fails at once, for whoever asked to ask again", async () => {
  const { places, member, state } = world();
  places.setMember({
    ...member,
    session: { kind: "connecting", problem: "" },
  } as unknown as Member);
  await expect(places.detach("e")).rejects.toThrow(/NO_SESSION/);
  expect(state.detached).toEqual([]);
});

const link = { ifindex: 2, name: "eth0" } as NamespaceHave["links"][number];
test.each([
  [
    "the same subnet",
    "10.0.1.0/24",
    undefined,
    /overlaps the route 10.0.1.0\/24 of interface eth0/,
  ],
  ["a part of it", "10.0.1.128/25", undefined, /overlaps/],
  ["a wider one on the wire", "10.0.0.0/8", undefined, /overlaps/],
  ["a wider one through a gateway", "10.0.0.0/8", "192.0.2.254", undefined],
  ["the default route", "0.0.0.0/0", "192.0.2.254", undefined],
  ["another network", "192.0.2.0/24", undefined, undefined],
])("a subnet against %s of the machine", async (_name, prefix, gateway, want) => {
  const { places } = world({ links: [link], routes: [{ prefix, gateway, ifindex: 2 }] });
  const conflict = await places.conflict(network, { kind: "host" });
  if (want === undefined) expect(conflict).toBeUndefined();
  else expect(conflict).toMatch(want);
});

test("a second endpoint on a network that is there already is no conflict", async () => {
  const routes = [{ prefix: "10.0.1.0/24", gateway: undefined, ifindex: 2 }];
  const { places, member } = world({ links: [{ ...link, name: "sk-n" }], routes });
  places.setMember(member);
  await places.attach(request);
  places.own("e", place);
  expect(await places.conflict(network, { kind: "host" })).toBeUndefined();
});
