import { expect, test } from "vitest";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { EndpointKind } from "../../proto/gen/types.js";
import { reachOf } from "./reach.js";

const task = (id: string, nodeId: string, serving: boolean) => ({
  id,
  nodeId,
  serving,
  networkId: "n",
  serviceId: "s",
  kind: EndpointKind.TASK,
  ownerId: `task-${id}`,
  ipv4: "10.0.1.3/24",
});
const held = (endpoints: object[], silent: string[]) =>
  Assignments.create({
    networks: [{ id: "n" }],
    endpoints: [
      { id: "v", networkId: "n", serviceId: "s", kind: EndpointKind.VIP, ipv4: "10.0.1.2/24" },
      ...endpoints,
    ],
    peers: ["a", "b"].map((nodeId) => ({ nodeId, silent: silent.includes(nodeId) })),
    services: [{ id: "s", name: "web" }],
  });
const usable = (endpoints: object[], silent: string[] = []) =>
  reachOf(held(endpoints, silent), "me")
    .networks.get("n")
    ?.services[0]?.backends.filter((each) => each.usable)
    .map(({ endpointId }) => endpointId);

const cases = [
  { name: "who serves", tasks: [task("1", "a", true), task("2", "b", false)], want: ["1"] },
  {
    name: "not on a silent node",
    tasks: [task("1", "a", true), task("2", "b", true)],
    silent: ["a"],
    want: ["2"],
  },
  {
    name: "all silent nodes, if there is no other: suspicion never empties a service",
    tasks: [task("1", "a", true), task("2", "b", false)],
    silent: ["a"],
    want: ["1"],
  },
];
for (const { name, tasks, silent, want } of cases) {
  test(`usable is ${name}`, () => expect(usable(tasks, silent)).toEqual(want));
}

test("a service has its name from its row and its VIP from the endpoint", () => {
  const [service] = reachOf(held([], []), "me").networks.get("n")?.services ?? [];
  expect([service?.name, service?.vip?.ipv4?.value]).toEqual(["web", 0x0a000102n]);
});
