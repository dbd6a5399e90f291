import { describe, expect, test } from "vitest";
import { parseIp, parsePrefix } from "../../common/address.js";
import { parseMac, parseVni } from "../../common/ids.js";
import { macKey, NO_TABLES, remoteValue, vniKey } from "../bpf/rows.js";
import {
  ACCELERATION,
  type AccelerationHave,
  FAST,
  farAlias,
  isEthernet,
  placeKey,
  planAcceleration,
  programOfKey,
} from "./acceleration.js";
import type { HostHave, LinkHave } from "./have.js";
import { portName } from "./names.js";
import type { HostWant, NetworkWant } from "./want.js";

const VTEP = ip("192.168.33.10");
const PEER = "192.168.33.11";
const vni = parseVni(4097) ?? fail();
const [LOCAL, REMOTE] = [mac("02:42:0a:00:01:02"), mac("02:42:0a:00:01:03")];
const TAG = "aaaaaaaa";

function fail(): never {
  throw new Error("a constant of the test is wrong");
}
function ip(text: string) {
  return parseIp(text) ?? fail();
}
function mac(text: string) {
  return parseMac(text) ?? fail();
}

const NETWORK: NetworkWant = {
  networkId: "n",
  name: "overnet",
  vni,
  mtuBytes: 0,
  vtep: VTEP,
  port: 4789,
  path: "accelerated",
  subnets: [],
  locals: [
    {
      endpointId: "e",
      mac: LOCAL,
      prefixes: [parsePrefix("10.0.1.2/24") ?? fail()],
      interfaceName: "eth0",
      sandbox: { kind: "host" },
      version: 1,
    },
  ],
  remotes: [{ endpointId: "r", mac: REMOTE, ips: [ip("10.0.1.3")], vtep: ip(PEER), version: 1 }],
  floodTo: [ip(PEER)],
};
const want = (network: Partial<NetworkWant> = {}): HostWant => ({
  sandboxes: [],
  networks: [{ ...NETWORK, ...network }],
});

function link(name: string, ifindex: number, more: Partial<LinkHave> = {}): LinkHave {
  const plain = { kind: "veth", mac: "02:00:00:00:00:01", mtuBytes: 1450, up: true, alias: "" };
  return { ifindex, name, master: 0, port: undefined, vxlan: undefined, ...plain, ...more };
}

const EMPTY: AccelerationHave = {
  isOpen: false,
  isThere: false,
  tables: NO_TABLES,
  attached: new Map(),
  hops: new Map(),
  sourcePorts: [32768, 60999],
};
const HOP = {
  kind: "hop",
  ifindex: 2,
  device: "eth0",
  mtuBytes: 1500,
  nextHopMac: "02:00:00:00:00:0b",
  sourceMac: "02:00:00:00:00:0a",
} as const;

function have(acceleration: AccelerationHave | undefined, withPair = true): HostHave {
  const port = portName("e");
  const links = [link("br0", 2), link("vxlan0", 3), link(port, 4)];
  if (withPair) links.push(link(FAST, 5));
  const far = link("sk-x-4097", 6, { alias: farAlias(TAG, vni) });
  return {
    sandboxes: new Set(),
    networks: new Map([
      [
        vni,
        {
          vni,
          links: new Map(links.map((each) => [each.name, each])),
          fdb: new Map(),
          flood: new Set(),
          bridgeFdb: new Map(),
          neighbours: new Map(),
        },
      ],
    ]),
    insides: new Map(),
    underlay: {
      links: [link("eth0", 2, { kind: "" }), ...(withPair ? [far] : [])],
      addresses: [{ ifindex: 2, prefix: "192.168.33.10/24" }],
      routes: [],
    },
    local: {
      tag: TAG,
      forwarding: { 4: true, 6: true },
      bridgedFilter: { 4: false, 6: false },
      forwardDrops: [],
    },
    acceleration,
  };
}

/** What the kernel has once the steps are done. */
function done(before: AccelerationHave, wanted: HostWant): AccelerationHave {
  const tables = Object.fromEntries(
    Object.entries(before.tables).map(([name, rows]) => [name, new Map(rows)]),
  ) as unknown as Record<keyof typeof NO_TABLES, Map<string, string>>;
  const attached = new Map(before.attached);
  const { before: first, after } = planAcceleration(wanted, have(before));
  for (const { change } of [...first, ...after]) {
    if (change.kind === "put")
      for (const [key, value] of change.rows) tables[change.table].set(key, value);
    if (change.kind === "drop") for (const key of change.keys) tables[change.table].delete(key);
    if (change.kind === "attach")
      attached.set(placeKey(change.place), { ifindex: change.place.ifindex, isCurrent: true });
    if (change.kind === "detach") attached.delete(change.key);
  }
  return { ...before, isOpen: true, isThere: true, tables, attached };
}

const words = (steps: readonly { readonly change: { readonly kind: string } }[]) =>
  steps.map(({ change }) =>
    "table" in change
      ? `${change.kind} ${change.table}`
      : "place" in change
        ? `attach ${placeKey(change.place as never)}`
        : change.kind,
  );

describe("the accelerated path's plan", () => {
  const hops = new Map([[PEER, HOP]]);
  const open = { ...EMPTY, isOpen: true, isThere: true, hops };

  test("nothing is done where nobody wants it and nothing of it is there", () => {
    expect(planAcceleration(want({ path: "kernel" }), have(EMPTY))).toMatchObject({
      before: [],
      after: [],
    });
    expect(planAcceleration(want(), have(undefined))).toMatchObject({ before: [], after: [] });
  });
  test("first the tables and the pair; rows and programs when the pair stands", () => {
    expect(words(planAcceleration(want(), have(EMPTY, false)).after)).toEqual([
      "open",
      "make-pair",
    ]);
    expect(words(planAcceleration(want(), have(open)).after)).toEqual([
      "attach 4097-enter",
      "attach 4097-leave",
      "put networks",
      "put locals",
      "put remotes",
      "put counts",
      `attach 4097-${portName("e")}`,
      "attach underlay-2",
    ]);
  });
  test("what was done is not done again", () => {
    expect(planAcceleration(want(), have(done(open, want())))).toMatchObject({
      before: [],
      after: [],
    });
  });
  test("a peer whose next hop is not known is left to the kernel path, and not complained of", () => {
    const unknown = new Map([[PEER, { kind: "none", why: "?", lasting: false } as const]]);
    const stands = done(open, want());
    const plan = planAcceleration(want(), have({ ...stands, hops: unknown }));
    const rows = [[macKey(vni, REMOTE), remoteValue(ip(PEER), undefined)]];
    expect(plan.after.map(({ change }) => change)).toEqual([
      { kind: "put", table: "remotes", rows },
    ]);
    expect([words(plan.before), plan.problems.size]).toEqual([[], 0]);
  });
  test("a device that the programs cannot send by is a problem that a person is told of", () => {
    const why = "It is reached by tun0, a device of kind tun.";
    const lasting = new Map([[PEER, { kind: "none", why, lasting: true } as const]]);
    const { problems } = planAcceleration(want(), have({ ...open, hops: lasting }));
    expect([...problems]).toEqual([
      [`${ACCELERATION} to ${PEER}`, `${why} Frames to it take the kernel path.`],
    ]);
  });
  test("a peer that the machine's own IPsec covers is neither sent to nor received from", () => {
    const none = { kind: "none", why: "IPsec.", lasting: true, isKernelsAlone: true } as const;
    const stands = done(open, want());
    const plan = planAcceleration(want(), have({ ...stands, hops: new Map([[PEER, none]]) }));
    expect([words(plan.before), words(plan.after)]).toEqual([["drop remotes"], []]);
    expect(plan.problems.size).toBe(1);
  });
  test("an encrypted network has nothing of it, and loses what it had", () => {
    const encrypted = want({ encrypted: "wireguard" });
    expect(planAcceleration(encrypted, have({ ...EMPTY, hops }))).toMatchObject({
      before: [],
      after: [],
    });
    expect(words(planAcceleration(encrypted, have(done(open, want()))).before)).toEqual(["close"]);
  });
  test("one changed row is one row written, and one that goes is gone before anything else", () => {
    const stands = done(open, want());
    const moved = want({
      remotes: [{ ...NETWORK.remotes[0], vtep: ip("192.168.33.12") }] as never,
    });
    // Until it is known how the other node is reached, and that it may be, it is the kernel's.
    expect(words(planAcceleration(moved, have(stands)).before)).toEqual(["drop remotes"]);
    const known = new Map(hops).set("192.168.33.12", HOP);
    const plan = planAcceleration(moved, have({ ...stands, hops: known }));
    expect(plan.after.map(({ change }) => change)).toContainEqual({
      kind: "put",
      table: "remotes",
      rows: [[macKey(vni, REMOTE), remoteValue(ip("192.168.33.12"), HOP)]],
    });
    const gone = planAcceleration(want({ remotes: [] }), have(stands));
    expect(words(gone.before)).toEqual(["drop remotes"]);
  });
  test("a program that somebody detached, or that is of another build, is attached again", () => {
    const stands = done(open, want());
    for (const [key, at] of [
      ["underlay-2", { ifindex: 0, isCurrent: true }],
      ["4097-enter", { ifindex: 5, isCurrent: false }],
    ] as const) {
      const attached = new Map(stands.attached).set(key, at);
      expect(words(planAcceleration(want(), have({ ...stands, attached })).after)).toEqual([
        `attach ${key}`,
      ]);
    }
  });
  test("all of it goes when the path is another one", () => {
    const plan = planAcceleration(want({ path: "kernel" }), have(done(open, want())));
    expect(words(plan.before)).toEqual(["close"]);
  });
  test("an endpoint with more addresses than a row holds is left to the kernel path", () => {
    const prefixes = ["10.0.1.2/24", "10.0.1.7/24", "10.0.1.8/24"].map(
      (text) => parsePrefix(text) ?? fail(),
    );
    const [local] = NETWORK.locals;
    const crowded = want({ locals: [{ ...(local ?? fail()), prefixes }] });
    expect(words(planAcceleration(crowded, have(open)).after)).not.toContain("put locals");
  });
  test("a look that failed is said, and nothing is done", () => {
    const plan = planAcceleration(want(), have({ ...EMPTY, problem: "It broke." }));
    expect([plan.before, plan.after, [...plan.problems]]).toEqual([
      [],
      [],
      [[ACCELERATION, "It broke."]],
    ]);
  });
});

test("a key says which program belongs there, and no other file's name does", () => {
  expect(programOfKey("4097-v-0123abcd")).toEqual({ program: "endpoint", vni: 4097 });
  expect(programOfKey("4097-leave")).toEqual({ program: "leave", vni: 4097 });
  expect(programOfKey("underlay-12")).toEqual({ program: "underlay", vni: 0 });
  for (const key of ["", "maps.debug", "4097-x", "underlay-"])
    expect(programOfKey(key)).toBeUndefined();
  expect(vniKey(1)).not.toBe(vniKey(256));
});

test("the programs work on Ethernet devices only", () => {
  const cases = [
    ["", "02:00:00:00:00:01", true],
    ["vlan", "02:00:00:00:00:01", true],
    ["tun", "02:00:00:00:00:01", false],
    ["", "00:00:00:00:00:00", false],
    ["", "", false],
    ["wireguard", "", false],
  ] as const;
  for (const [kind, address, is] of cases) expect(isEthernet({ kind, mac: address })).toBe(is);
});
