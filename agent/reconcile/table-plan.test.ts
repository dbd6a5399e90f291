import { beforeEach, describe, expect, test } from "vitest";
import { FakeKernel } from "../../test/fakes/kernel.js";
import { type Vip, vipTable } from "../../test/fakes/nft-vips.js";
import { aliasOf, kernelTable, sandboxKey, tableOfKernel } from "./names.js";
import { plan } from "./plan.js";
import { baseChain, egressChain, HOOKS, hexOf, RETURN, rule } from "./rule-words.js";
import { describe as describeStep, needsOf, type Step, subjectOf } from "./step.js";
import { type ChangeTables, transactionsOf } from "./table-plan.js";
import type { MapWant, TableWant } from "./table-want.js";
import type { HostWant, SandboxRef } from "./want.js";

const ID = "a".repeat(16);
const OWN: SandboxRef = { kind: "own", id: ID };
const FOREIGN: SandboxRef = { kind: "foreign", path: "/run/netns/theirs" };
const TWO: Vip = { address: "10.0.1.30", backends: ["10.0.1.3", "10.0.1.4"] };
const ONE: Vip = { address: "10.0.1.31", backends: ["10.0.1.5"] };

let kernel: FakeKernel;
beforeEach(() => {
  kernel = new FakeKernel("192.0.2.1/24");
  kernel.insides.set(sandboxKey(FOREIGN), { links: [], addresses: [], routes: [] });
});

const wanting = (
  tables: readonly TableWant[] | undefined,
  sandbox: SandboxRef = OWN,
): HostWant => ({
  sandboxes: [{ id: ID }],
  networks: [],
  ...(tables ? { tables: [{ sandbox, tables }] } : {}),
});
async function planned(want: HostWant): Promise<readonly Step[]> {
  return plan(want, await kernel.dump([OWN, FOREIGN])).steps;
}
async function converge(want: HostWant): Promise<readonly Step[]> {
  const steps = await planned(want);
  for (const step of steps) await kernel.perform(step);
  expect(await planned(want)).toEqual([]);
  return steps;
}
async function changed(want: HostWant): Promise<ChangeTables> {
  const steps = await converge(want);
  expect(steps.map(({ kind }) => kind)).toEqual(["change-tables"]);
  return steps[0] as ChangeTables;
}

describe("the tables of a sandbox", () => {
  test("are written once it is there", async () => {
    const steps = await converge(wanting([vipTable([TWO])]));
    expect(steps.map(({ kind }) => kind)).toEqual(["make-sandbox", "change-tables"]);
    const step = steps[1] as ChangeTables;
    expect(step.changes).toMatchObject([{ kind: "write" }]);
    expect(needsOf(step)).toEqual([ID]);
    expect(subjectOf(step)).toBe(`packet filter of sandbox ${ID}`);
    expect(describeStep(step)).toBe(`write the packet filter of sandbox ${ID}`);
  });

  test("one backend more of one service: its chain comes, the other one goes, elements move", async () => {
    await converge(wanting([vipTable([TWO, ONE])]));
    const more = { ...TWO, backends: [...TWO.backends, "10.0.1.6"] };
    const { changes } = await changed(wanting([vipTable([more, ONE])]));
    expect(changes).toMatchObject([
      {
        ...{ kind: "update", chains: new Set(["pick-3"]), newChains: ["pick-3"] },
        ...{ newMaps: [], goneChains: ["pick-2"], goneMaps: [] },
        elements: [
          { map: { name: "vips" }, put: [["0a00011e", "pick-3"]], drop: [["0a00011e", "pick-2"]] },
          { map: { name: "backends" }, put: [["0a00011e02000000", "0a000106"]], drop: [] },
        ],
      },
    ]);
  });

  test("a new chain stands, with its rules, before an element leads to it", async () => {
    await converge(wanting([vipTable([TWO])]));
    const more = { ...TWO, backends: [...TWO.backends, "10.0.1.6"] };
    const { changes } = await changed(wanting([vipTable([more])]));
    const [before, then] = transactionsOf(changes);
    expect(before).toMatchObject([
      { kind: "update", chains: new Set(["pick-3"]), elements: [], goneChains: [] },
    ]);
    expect(then).toMatchObject([
      { kind: "update", chains: new Set(), newChains: [], goneChains: ["pick-2"] },
    ]);
    expect(then?.[0]).toHaveProperty("elements.0.put", [["0a00011e", "pick-3"]]);
    const same = await changed(wanting([vipTable([{ ...more, address: "10.0.1.40" }])]));
    expect(transactionsOf(same.changes)).toEqual([same.changes]);
  });

  test("flows to a backend that left are forgotten; one that only moved keeps its own", async () => {
    await converge(wanting([vipTable([TWO])]));
    const { forget } = await changed(
      wanting([vipTable([{ ...TWO, backends: TWO.backends.slice(1) }])]),
    );
    expect(forget).toEqual([{ kind: "translated-to", address: "0a000103", protocols: "udp" }]);
  });

  test("what lies between two maps is found once for all sandboxes that share them", async () => {
    const both = (table: TableWant): HostWant => ({
      ...wanting([table]),
      tables: [OWN, FOREIGN].map((sandbox) => ({ sandbox, tables: [table] })),
    });
    await converge(both(vipTable([TWO])));
    const [own, foreign] = (await planned(both(vipTable([TWO, ONE])))) as ChangeTables[];
    const putOf = (step: ChangeTables | undefined) =>
      step?.changes.flatMap((c) => (c.kind === "update" ? c.elements.map(({ put }) => put) : []));
    expect(putOf(own)?.[0]).toBe(putOf(foreign)?.[0]);
  });

  const bases: readonly [string, (table: TableWant) => TableWant][] = [
    [
      "a hook that is another",
      (table) => ({
        ...table,
        chains: [baseChain("refuse", HOOKS.filterInput, []), ...table.chains.slice(0, -1)],
      }),
    ],
    [
      "a map of another shape",
      (table) => ({ ...table, maps: table.maps.map((map): MapWant => ({ ...map, keyType: 9 })) }),
    ],
  ];
  test.each(bases)("%s is written as a whole", async (_name, other) => {
    await converge(wanting([vipTable([TWO])]));
    const { changes } = await changed(wanting([other(vipTable([TWO]))]));
    expect(changes).toMatchObject([{ kind: "write" }]);
  });

  test("nobody wants them: they go, and without a word nothing is touched", async () => {
    await converge(wanting([vipTable([TWO])], FOREIGN));
    expect(await planned(wanting(undefined))).toEqual([]);
    const { changes } = await changed({ ...wanting([]), tables: [] });
    expect(changes).toEqual([{ kind: "remove", family: "inet", name: "skein" }]);
  });

  test("a sandbox that goes takes them with it", async () => {
    await converge(wanting([vipTable([TWO])]));
    const steps = await converge({ sandboxes: [], networks: [], tables: [] });
    expect(steps.map(({ kind }) => kind)).toEqual(["remove-sandbox"]);
  });

  test("somebody else's namespace that is gone is nothing to write to", async () => {
    kernel.insides.delete(sandboxKey(FOREIGN));
    const steps = await planned(wanting([vipTable([TWO])], FOREIGN));
    expect(steps.map(({ kind }) => kind)).toEqual(["make-sandbox"]);
  });
});

test("hooks on interfaces wait until those are there, and go when nobody wants them", async () => {
  const chains = [egressChain("egress", ["eth1"], [rule("nothing", [RETURN])])];
  const want = wanting([{ family: "netdev", name: "skein_mesh", maps: [], chains }], FOREIGN);
  await converge(wanting([]));
  expect(await planned(want)).toEqual([]);
  const link = kernel.newLink("eth1", "veth", 1500, { alias: aliasOf("endpoint1") });
  kernel.insides.get(sandboxKey(FOREIGN))?.links.push(link);
  const step = await changed(want);
  expect(subjectOf(step)).toBe("packet hooks in /run/netns/theirs");
  kernel.insides.set(sandboxKey(FOREIGN), { links: [], addresses: [], routes: [] });
  expect(await planned(want)).toEqual([]);
  expect((await changed({ ...want, tables: [] })).changes).toMatchObject([{ kind: "remove" }]);
});

describe("names of tables in the kernel", () => {
  const cases: readonly [string, string, string | undefined][] = [
    ["/run/skein", "skein", "skein"],
    ["/run/skein", "skein_mesh", "skein_mesh"],
    ["/run/skein", "skein_0123abcd", undefined],
    ["/run/skein", "skein_0123abcd_mesh", undefined],
    ["/run/skein", "skeins", undefined],
    ["/run/other", "skein", undefined],
  ];
  test.each(cases)("of %s: %s is %s", (runDir, found, name) => {
    expect(tableOfKernel(runDir, found)).toBe(name);
  });

  test.each(["/run/skein", "/tmp/a"])("of %s come back as they were given", (runDir) => {
    for (const name of ["skein", "skein_mesh"]) {
      expect(tableOfKernel(runDir, kernelTable(runDir, name))).toBe(name);
    }
    expect(tableOfKernel("/tmp/b", kernelTable(runDir, "skein_mesh"))).toBeUndefined();
  });
});

test("a key is whole words", () => {
  expect(hexOf(Uint8Array.of(10, 0, 0, 1), Uint8Array.of(6))).toBe("0a00000106000000");
});
