import { expect, test } from "vitest";
import { Endpoint, EndpointKind, Node } from "../../proto/gen/types.js";
import { networkServicesJson } from "./network-services.js";

const endpoint = (kind: EndpointKind, name: string, last: number, nodeId = "n1") =>
  Endpoint.fromPartial({ id: `e${last}`, kind, name, nodeId, ipv4: `10.0.1.${last}/24` });
const nodes = new Map([["n1", Node.fromPartial({ id: "n1", dataPathAddr: "192.168.133.1" })]]);
const task = (name: string, last: number) => ({
  Name: name,
  EndpointID: `e${last}`,
  EndpointIP: `10.0.1.${last}`,
  Info: { "Host IP": "192.168.133.1" },
});

test("tasks stand under their service with its VIP, and what a person attached under no name", () => {
  const endpoints = [
    endpoint(EndpointKind.TASK, "web.1.abc", 4),
    endpoint(EndpointKind.VIP, "web", 2, ""),
    endpoint(EndpointKind.ATTACHMENT, "c1.with.dots", 3),
    endpoint(EndpointKind.TASK, "rr.n1.def", 5),
    endpoint(EndpointKind.TASK, "web.2.ghi", 6),
  ];
  const empty = { Ports: [], LocalLBIndex: 0 };
  expect(networkServicesJson({ endpoints, nodes })).toEqual({
    "": { VIP: "<nil>", ...empty, Tasks: [task("c1.with.dots", 3)] },
    rr: { VIP: "<nil>", ...empty, Tasks: [task("rr.n1.def", 5)] },
    web: { VIP: "10.0.1.2", ...empty, Tasks: [task("web.1.abc", 4), task("web.2.ghi", 6)] },
  });
});

test("on a network where nothing is there is no service", () => {
  expect(networkServicesJson({ endpoints: [], nodes })).toEqual({});
});
