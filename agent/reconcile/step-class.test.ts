import { expect, test } from "vitest";
import { parseVni, type Vni } from "../../common/ids.js";
import type { Step } from "./step.js";
import { isAboutReach, isHarmless, isPortRemoval, isRemoval } from "./step-class.js";

const VNI = parseVni(4097) as Vni;
const NETWORK = { networkId: "n1", vni: VNI };

const cases: { readonly step: Step; readonly is: readonly string[] }[] = [
  { step: { kind: "make-sandbox", id: "a" }, is: [] },
  { step: { kind: "make-network", ...NETWORK, mtuBytes: 1450 }, is: [] },
  { step: { kind: "put-rows", ...NETWORK, rows: [] }, is: ["about reach"] },
  { step: { kind: "swap-vxlan", ...NETWORK }, is: ["about reach"] },
  { step: { kind: "drop-rows", ...NETWORK, rows: [] }, is: ["removal", "harmless"] },
  {
    step: { kind: "drop-neighbours", networkId: "n1", device: "skein_mesh", ips: [] },
    is: ["removal", "harmless", "about reach"],
  },
  { step: { kind: "unplug", port: "v-1" }, is: ["removal", "port removal"] },
  { step: { kind: "remove-endpoint", vni: 4097, port: "v-1" }, is: ["removal", "port removal"] },
  { step: { kind: "remove-sandbox", file: "sb-a" }, is: ["removal"] },
  { step: { kind: "remove-network", vni: 4097 }, is: ["removal"] },
  // A device that is in the way of another's making: that waits for it.
  { step: { kind: "remove-vxlan", vni: 4097 }, is: [] },
  { step: { kind: "allow-forwarding", family: 4 }, is: ["about reach"] },
];
for (const { step, is } of cases) {
  test(`${step.kind}: ${is.join(", ") || "nothing of these"}`, () => {
    const found = [
      ...(isRemoval(step) ? ["removal"] : []),
      ...(isPortRemoval(step) ? ["port removal"] : []),
      ...(isHarmless(step) ? ["harmless"] : []),
      ...(isAboutReach(step) ? ["about reach"] : []),
    ];
    expect(found).toEqual(is);
  });
}
