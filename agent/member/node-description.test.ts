import { expect, test } from "vitest";
import { Wireguard } from "../../proto/gen/types.js";
import type { MachineFacts } from "../seams.js";
import { describeNode } from "./node-description.js";

test("a node says what it is as Docker's do: the scheduler places by these names and units", () => {
  const facts = {
    architecture: "x86_64",
    cpus: 2,
    memoryBytes: 4096,
    kernelVersion: "6.1.0",
  } as MachineFacts;
  const dataPath = { wish: "auto", path: "kernel", why: ["No eBPF."] } as const;
  const node = { hostname: "h1", facts, labels: { zone: "a" }, genericResources: [], dataPath };
  const runtimes = [{ type: "Runtime", name: "process" }];
  const said = describeNode(node, "192.0.2.1", runtimes, Wireguard.create());
  expect(said).toMatchObject({
    hostname: "h1",
    platform: { architecture: "x86_64", os: "linux" },
    nanoCpus: 2_000_000_000,
    memoryBytes: 4096,
    engineLabels: { zone: "a" },
    dataPath,
  });
  const accelerated = { ...node, dataPath: { ...dataPath, path: "accelerated" } } as const;
  const overIpv6 = describeNode(accelerated, "2001:db8::1", runtimes, Wireguard.create());
  expect(overIpv6.dataPath?.why).toEqual(["No eBPF.", expect.stringContaining("IPv6")]);
  expect(said.plugins).toContainEqual({ type: "Network", name: "overlay" });
  expect(said.plugins).toContainEqual({ type: "Runtime", name: "process" });
});
