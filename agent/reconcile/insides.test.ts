import { expect, test } from "vitest";
import { parseVni, type Vni } from "../../common/ids.js";
import type { LinkHave, NamespaceHave } from "./have.js";
import { Insides } from "./insides.js";
import { aliasOf, portName, sandboxKey } from "./names.js";
import type { Step } from "./step.js";
import { sandboxFileName } from "./want.js";

const [A, B] = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"] as const;
const keyOf = (id: string) => sandboxKey({ kind: "own", id });
const VNI = parseVni(4097) as Vni;

/** With one interface, which is the inner end of the endpoint's. */
function insideOf(endpointId: string): NamespaceHave {
  const link = { name: "eth0", alias: aliasOf(endpointId) } as LinkHave;
  return { links: [link], addresses: [], routes: [] };
}
/** A look has seen both. */
function seen(): Insides {
  const insides = new Insides();
  insides.begin(false);
  insides.note(keyOf(A), insideOf("e1"));
  insides.note(keyOf(B), insideOf("e2"));
  return insides;
}
/** What the next look need not look into. */
function recalled(insides: Insides): string[] {
  insides.begin(true);
  return [A, B].filter((id) => insides.recall(keyOf(id)) !== undefined);
}

test("what was seen is known to the next looks, as long as each asks about it", () => {
  const insides = seen();
  expect(recalled(insides)).toEqual([A, B]);
  expect(recalled(insides)).toEqual([A, B]);
  insides.begin(true);
  expect(recalled(insides)).toEqual([]);
});

test("a look that trusts nothing knows nothing", () => {
  const insides = seen();
  insides.begin(false);
  expect(insides.recall(keyOf(A))).toBeUndefined();
});

test("what somebody changes while a look is under way is not known, whether it was looked at already or not", () => {
  const insides = seen();
  insides.begin(true);
  insides.recall(keyOf(A));
  insides.forget(keyOf(A));
  insides.forget(keyOf(B));
  expect(insides.recall(keyOf(B))).toBeUndefined();
  expect(recalled(insides)).toEqual([]);
});

const steps: { name: string; step: Step; left: readonly string[] }[] = [
  {
    name: "making a sandbox",
    step: { kind: "make-sandbox", id: A },
    left: [B],
  },
  {
    name: "removing a sandbox, which is told by its file",
    step: { kind: "remove-sandbox", file: sandboxFileName(A) },
    left: [B],
  },
  {
    name: "removing an endpoint, which is told by its port",
    step: { kind: "remove-endpoint", vni: VNI, port: portName("e2") },
    left: [A],
  },
  {
    name: "pulling a plug",
    step: { kind: "unplug", port: portName("e1") },
    left: [B],
  },
  {
    name: "removing a port that nobody has",
    step: { kind: "unplug", port: portName("e3") },
    left: [A, B],
  },
  {
    name: "removing a network, whose endpoints are not told,",
    step: { kind: "remove-network", vni: VNI },
    left: [],
  },
  {
    name: "writing rows",
    step: { kind: "put-rows", networkId: "n1", vni: VNI, rows: [] },
    left: [A, B],
  },
];
for (const { name, step, left } of steps) {
  test(`${name} leaves known what it does not touch`, () => {
    const insides = seen();
    insides.touchedBy(step);
    expect(recalled(insides)).toEqual(left);
  });
}

test("sandboxes are found by the name of their namespace's file", () => {
  expect(seen().ofFile(sandboxFileName(B))).toEqual([keyOf(B)]);
  expect(seen().ofFile("sb-cccccccccccc")).toEqual([]);
});
