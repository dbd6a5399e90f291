import { expect, test } from "vitest";
import { Network } from "../../proto/gen/types.js";
import type { LinkHave, RouteHave } from "./have.js";
import { routeConflict } from "./route-conflict.js";

const NETWORK = Network.fromPartial({
  id: "n1",
  spec: { name: "overnet" },
  subnets: [{ cidr: "10.0.1.0/24" }, { cidr: "fd00:7::/64" }],
});
const links = [{ ifindex: 2, name: "eth0" } as LinkHave];
const route = (prefix: string, gateway?: string) =>
  ({ prefix, gateway, ifindex: 2 }) as unknown as RouteHave;

const cases = [
  { name: "a default route is for what nobody else has", routes: [route("0.0.0.0/0")], says: "" },
  { name: "another subnet", routes: [route("10.0.2.0/24")], says: "" },
  {
    name: "the same subnet",
    routes: [route("10.0.1.0/24")],
    says: "subnet 10.0.1.0/24 of network overnet overlaps the route 10.0.1.0/24 of interface eth0",
  },
  {
    name: "a part of it, even by a gateway",
    routes: [route("10.0.1.128/25", "192.0.2.1")],
    says: "overlaps the route 10.0.1.128/25",
  },
  {
    name: "a wider one by a gateway goes on working for the rest",
    routes: [route("10.0.0.0/8", "192.0.2.1")],
    says: "",
  },
  {
    name: "a wider one without a gateway has neighbours in it",
    routes: [route("10.0.0.0/8")],
    says: "overlaps the route 10.0.0.0/8",
  },
  {
    name: "the other family's",
    routes: [route("fd00:7::/48")],
    says: "subnet fd00:7::/64 of network overnet overlaps",
  },
];
for (const { name, routes, says } of cases) {
  test(`${name}: ${says === "" ? "nothing is in the way" : "refused"}`, () => {
    const found = routeConflict(NETWORK, { links, routes }, new Set());
    if (says === "") expect(found).toBeUndefined();
    else expect(found).toContain(says);
  });
}

test("an interface of this very network is not in its own way", () => {
  const inside = { links, routes: [route("10.0.1.0/24")] };
  expect(routeConflict(NETWORK, inside, new Set(["eth0"]))).toBeUndefined();
});
