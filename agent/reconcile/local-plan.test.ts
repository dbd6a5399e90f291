import { beforeEach, describe, expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac } from "../../common/ids.js";
import { FakeKernel } from "../../test/fakes/kernel.js";
import { localTable } from "./filter.js";
import type { BridgeWant, LocalWant, PortWant } from "./local-want.js";
import { localAlias, portName } from "./names.js";
import { plan } from "./plan.js";
import { describe as describeStep, needsOf, type Step, subjectOf, undoOf } from "./step.js";
import type { HostWant, LocalEndpoint, SandboxRef } from "./want.js";

const ip = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;
const SANDBOXES = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"];

function endpoint(n: number): LocalEndpoint {
  return {
    endpointId: `endpoint${n}`,
    mac: parseMac(`02:42:ac:11:00:0${n}`) as Mac,
    prefixes: [prefix(`172.17.0.${n}/16`)],
    gateways: [ip("172.17.0.1")],
    interfaceName: "eth0",
    sandbox: { kind: "own", id: SANDBOXES[n - 2] ?? "" },
    version: 0,
  };
}
function bridge(locals: readonly LocalEndpoint[], more: Partial<BridgeWant> = {}): BridgeWant {
  return {
    networkId: "network1",
    name: "bridge",
    device: "skein0",
    mtuBytes: 1500,
    addresses: [prefix("172.17.0.1/16")],
    internal: false,
    icc: true,
    masquerade: true,
    locals,
    ...more,
  };
}
const port = (hostPort: number, more: Partial<PortWant> = {}): PortWant => ({
  protocol: "tcp",
  hostIp: undefined,
  hostPort,
  ip: ip("172.17.0.2"),
  port: 80,
  ...more,
});
const wanting = (local: LocalWant): HostWant => ({
  sandboxes: SANDBOXES.map((id) => ({ id })),
  networks: [],
  local,
});

let kernel: FakeKernel;
beforeEach(() => {
  kernel = new FakeKernel("192.0.2.1/24");
});

const refs = SANDBOXES.map((id): SandboxRef => ({ kind: "own", id }));
async function planned(want: HostWant) {
  return plan(want, await kernel.dump(refs));
}
/** The kinds of the steps that lead to the want; after them there is nothing left to do. */
async function converge(want: HostWant): Promise<string[]> {
  const { steps } = await planned(want);
  for (const step of steps) await kernel.perform(step);
  expect((await planned(want)).steps).toEqual([]);
  return steps.map(({ kind }) => kind);
}

describe("bridges of the machine", () => {
  test("the filter stands before anything is plugged in, and all goes in the reverse order", async () => {
    const want = wanting({ bridges: [bridge([endpoint(2), endpoint(3)])], ports: [port(8080)] });
    expect(await converge(want)).toEqual([
      ...["make-sandbox", "make-sandbox", "allow-forwarding", "make-bridge", "change-tables"],
      ...["plug", "plug"],
    ]);
    const none = await converge(wanting({ bridges: [], ports: [] }));
    expect(none).toEqual(["unplug", "unplug", "change-tables", "remove-bridge"]);
  });

  test("without a word about them nothing of them is touched", async () => {
    await converge(wanting({ bridges: [bridge([endpoint(2)])], ports: [] }));
    const { steps } = await planned({ ...wanting({ bridges: [], ports: [] }), local: undefined });
    expect(steps).toEqual([]);
  });

  const oneElement = {
    kind: "change-tables",
    changes: [{ kind: "update", chains: new Set(), elements: [{ put: [{}], drop: [{}] }] }],
  };
  test("a port more or less is one element", async () => {
    const bridges = [bridge([endpoint(2)])];
    await converge(wanting({ bridges, ports: [port(1), port(2)] }));
    const { steps } = await planned(
      wanting({ bridges, ports: [port(2), port(3, { protocol: "udp" })] }),
    );
    expect(steps).toMatchObject([oneElement]);
    expect(steps).toMatchObject([{ forget: [{ kind: "came-to", port: 3 }] }]);
  });

  test("a port that leads elsewhere is taken and put in one step", async () => {
    const bridges = [bridge([endpoint(2)])];
    await converge(wanting({ bridges, ports: [port(1)] }));
    const { steps } = await planned(wanting({ bridges, ports: [port(1, { port: 81 })] }));
    expect(steps).toMatchObject([oneElement]);
  });

  const meddling: readonly [string, (k: FakeKernel) => void, string[]][] = [
    ["the filter is flushed", (k) => k.tables.clear(), ["change-tables"]],
    [
      "a rule is gone",
      (k) => {
        const [table] = k.tables.get("host")?.tables ?? [];
        if (table === undefined) return;
        const found = table.chains.get("forward") ?? { base: "", rules: [] };
        const chains = new Map(table.chains).set("forward", {
          ...found,
          rules: found.rules.slice(1),
        });
        k.tables.set("host", { sandbox: { kind: "host" }, tables: [{ ...table, chains }] });
      },
      ["change-tables"],
    ],
    [
      "forwarding is turned off",
      (k) => set(k, { forwarding: { 4: false, 6: false } }),
      ["allow-forwarding"],
    ],
    ["the bridge is deleted", (k) => remove(k, "skein0"), ["make-bridge", "plug"]],
    ["a port is deleted", (k) => remove(k, portName("endpoint2")), ["plug"]],
    [
      "the bridge's address is gone",
      (k) => void k.insides.get("host")?.addresses.splice(1),
      ["make-bridge"],
    ],
    ["br_netfilter comes", (k) => set(k, { bridgedFilter: { 4: true, 6: true } }), ["plug"]],
  ];
  test.each(meddling)("repaired: %s", async (_name, meddle, kinds) => {
    const want = wanting({ bridges: [bridge([endpoint(2)])], ports: [port(8080)] });
    await converge(want);
    meddle(kernel);
    expect(await converge(want)).toEqual(kinds);
  });

  test("what a dead run left unmarked goes", async () => {
    const host = kernel.insides.get("host");
    host?.links.push(kernel.newLink("sk-0123abcd", "bridge", 1500));
    host?.links.push(kernel.newLink("v-0123abcd", "veth", 1500));
    const none = wanting({ bridges: [], ports: [] });
    expect(new Set(await converge(none))).toEqual(
      new Set(["make-sandbox", "unplug", "remove-bridge"]),
    );
  });

  test("what another agent of the machine has stays", async () => {
    const host = kernel.insides.get("host");
    const alias = localAlias("bbbbbbbb", "network1");
    host?.links.push(kernel.newLink("skein1", "bridge", 1500, { alias }));
    expect((await planned(wanting({ bridges: [], ports: [] }))).steps).toEqual([
      ...SANDBOXES.map((id) => ({ kind: "make-sandbox", id })),
    ]);
  });

  test("a device of that name that is not ours is said, not taken", async () => {
    kernel.insides.get("host")?.links.push(kernel.newLink("skein0", "bridge", 1500));
    const want = wanting({ bridges: [bridge([endpoint(2)])], ports: [] });
    const { steps, problems } = await planned(want);
    expect(steps.map(({ kind }) => kind)).not.toContain("plug");
    expect(problems.get("network1")).toMatch(/interface named skein0 that is not Skein's/);
  });

  test("those that are not to talk are isolated, unless the filter sees what the bridge carries", async () => {
    const want = wanting({ bridges: [bridge([endpoint(2)], { icc: false })], ports: [] });
    await converge(want);
    const plugged = () =>
      kernel.insides.get("host")?.links.find(({ name }) => name === portName("endpoint2"))?.port;
    expect(plugged()).toMatchObject({ isolated: true, hairpin: false });
    kernel.local = { ...kernel.local, bridgedFilter: { 4: true, 6: true } };
    await converge(want);
    expect(plugged()).toMatchObject({ isolated: false, hairpin: true });
  });

  test("every step says what it is about; a plug waits for the filter, and is undone", async () => {
    const want = wanting({ bridges: [bridge([endpoint(2)])], ports: [] });
    const { steps } = await planned(want);
    const plugStep = steps.find(({ kind }) => kind === "plug") as Step;
    expect(needsOf(plugStep)).toEqual([
      ...["network1", SANDBOXES[0], "packet filter"],
      `packet filter of sandbox ${SANDBOXES[0]}`,
    ]);
    expect(undoOf(plugStep)).toEqual({ kind: "unplug", port: portName("endpoint2") });
    for (const step of steps) {
      expect(subjectOf(step)).not.toBe("");
      expect(describeStep(step)).not.toBe("");
    }
  });
});

describe("the packet filter", () => {
  const comments = (bridges: readonly BridgeWant[], chain: string) =>
    localTable({ bridges, ports: [] })
      .chains.find(({ name }) => name === chain)
      ?.rules.map(({ comment }) => comment.replace(/ \(.*/, ""));

  test("rules grow with the bridges, never with the ports", () => {
    const count = (ports: number) =>
      localTable({
        bridges: [bridge([])],
        ports: Array.from({ length: ports }, (_, i) => port(i + 1)),
      }).chains.flatMap(({ rules }) => rules).length;
    expect(count(1_000)).toBe(count(0));
  });

  test("an internal bridge is cut off before any answer or published port is let through", () => {
    expect(comments([bridge([], { internal: true })], "forward")).toEqual([
      ...["nothing into skein0", "nothing out of skein0", "answers", "what was published"],
      ...["within skein0", "nothing else into skein0"],
    ]);
    expect(comments([bridge([], { internal: true })], "postrouting")).not.toContain(
      "out of skein0",
    );
  });

  test("without talk between its own, no rule lets it", () => {
    expect(comments([bridge([], { icc: false })], "forward")).not.toContain("within skein0");
  });

  test("a key is address, protocol and port; a value address and port", () => {
    const { maps } = localTable({
      bridges: [],
      ports: [
        port(8080),
        port(53, { protocol: "udp", hostIp: ip("192.0.2.1"), port: 5353 }),
        port(1, { protocol: "sctp" }),
      ],
    });
    expect([...(maps[0]?.elements ?? [])]).toEqual([
      ["00000000060000001f900000", "ac11000200500000"],
      ["c00002011100000000350000", "ac11000214e90000"],
      ["000000008400000000010000", "ac11000200500000"],
    ]);
  });

  test("IPv6 has a map and rules of its own, once a bridge has it", () => {
    const six = { addresses: [prefix("172.17.0.1/16"), prefix("fd00::1/64")] };
    const { maps, chains } = localTable({
      bridges: [bridge([], six)],
      ports: [port(8080), port(8080, { ip: ip("fd00::2") })],
    });
    expect(maps.map(({ name, elements }) => [name, ...elements])).toEqual([
      ["ports", ["00000000060000001f900000", "ac11000200500000"]],
      ["ports6", [`${"0".repeat(32)}060000001f900000`, "fd00000000000000000000000000000200500000"]],
    ]);
    const names = chains.flatMap(({ rules }) => rules.map(({ comment }) => comment));
    expect(names.filter((name) => name.startsWith("published on every"))).toHaveLength(4);
    expect(names.filter((name) => name.startsWith("out of skein0"))).toHaveLength(2);
    const four = localTable({ bridges: [bridge([])], ports: [port(1, { ip: ip("fd00::2") })] });
    expect(four.maps.map(({ name }) => name)).toEqual(["ports"]);
  });

  test("a rule that says something else has another name", () => {
    const [a] = localTable({ bridges: [bridge([])], ports: [] }).chains.at(-1)?.rules ?? [];
    const other = bridge([], { device: "skein1" });
    const [b] = localTable({ bridges: [other], ports: [] }).chains.at(-1)?.rules ?? [];
    expect(a?.comment.match(/\(.*\)/)?.[0]).not.toBe(b?.comment.match(/\(.*\)/)?.[0]);
  });
});

function set(fake: FakeKernel, more: Partial<FakeKernel["local"]>): void {
  fake.local = { ...fake.local, ...more };
}
function remove(fake: FakeKernel, name: string): void {
  const host = fake.insides.get("host");
  if (host === undefined) return;
  host.links = host.links.filter((link) => link.name !== name);
}
