import { expect, test } from "vitest";
import { TraceProtocol } from "../../proto/gen/control.js";
import { Service } from "../../proto/gen/service.js";
import { Endpoint, EndpointKind, Node } from "../../proto/gen/types.js";
import { FakeAgentNode } from "../../test/fakes/agent-node.js";
import type { Call } from "./call.js";
import { chooseEnds, findEnd, parseTarget, type Swarm } from "./trace-ends.js";

const { ICMP, TCP, UDP } = TraceProtocol;

test.each([
  ["web", "web", ICMP, 0],
  ["web.1:80", "web.1", TCP, 80],
  ["10.0.1.3:53/udp", "10.0.1.3", UDP, 53],
  ["fd00::3", "fd00::3", ICMP, 0],
  ["[fd00::3]:443/tcp", "fd00::3", TCP, 443],
  ["[fd00::3]", "fd00::3", ICMP, 0],
])("%s", (text, ref, protocol, port) => {
  expect(parseTarget(text)).toEqual({ ref, protocol, port });
});

test.each(["web:", "web:0", "web:65536", "web:80/sctp", "web:http", "web/udp"])(
  "%s is refused",
  (text) => expect(() => parseTarget(text)).toThrow(/invalid/),
);

const end = (id: string, more: Partial<Endpoint>) =>
  Endpoint.create({ id, networkId: "n", nodeId: "h1", ownerId: `${id}-owner`, ...more });
const swarm: Swarm = {
  endpoints: [
    end("ea", { name: "ch1", ipv4: "10.0.1.2/24", ipv6: "fd00::2/64" }),
    end("eb", { name: "ch1", ipv4: "10.0.2.2/24", networkId: "m", ownerId: "ea-owner" }),
    end("ev", {
      name: "db",
      serviceId: "s",
      kind: EndpointKind.VIP,
      ipv4: "10.0.2.9/24",
      networkId: "m",
    }),
    end("et", {
      name: "db.1.et-owner",
      serviceId: "s",
      kind: EndpointKind.TASK,
      ipv4: "10.0.2.3/24",
      networkId: "m",
      nodeId: "h2",
    }),
  ],
  nodes: [
    Node.fromPartial({ id: "n1", description: { hostname: "h1" }, dataPathAddr: "192.0.2.1" }),
    Node.fromPartial({ id: "n2", description: { hostname: "h2" }, dataPathAddr: "192.0.2.2" }),
  ],
  services: [Service.fromPartial({ id: "s", spec: { name: "db" } })],
};
const node = new FakeAgentNode({ hostname: "h1", addr: "192.0.2.1" });
const call = { node } as unknown as Call;
const ends = (from: string, to: string) =>
  chooseEnds(swarm, findEnd(call, swarm, from), findEnd(call, swarm, to), [from, to]);

test("of a container on two networks that end is meant which the other one is on too", () => {
  expect(ends("ch1", "db")).toMatchObject({
    from: { id: "eb" },
    to: [{ id: "et" }],
    address: "10.0.2.9",
    name: "db",
  });
  expect(ends("ea-own", "db.1")).toMatchObject({
    from: { id: "eb" },
    address: "10.0.2.3",
    name: "db.1",
  });
});

test("a virtual address may come to every task of its service", () => {
  expect(ends("ch1", "10.0.2.9")).toMatchObject({
    from: { id: "eb" },
    to: [{ id: "et" }],
    address: "10.0.2.9",
    name: "",
  });
});

test("nodes are ends too, and a name that nobody knows is the sandbox's to ask for", () => {
  expect(ends("h1", "h2")).toMatchObject({
    fromIsNode: true,
    toNode: { id: "n2" },
    address: "192.0.2.2",
  });
  expect(ends("ch1", "example.org")).toMatchObject({ to: [], name: "example.org", address: "" });
  expect(() => ends("nobody", "db")).toThrow(
    "no such container, task, service, address or node: nobody",
  );
});
