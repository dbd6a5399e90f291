// What a node of the userspace path does to the kernel, on the fake one: made, met again after a restart, changed.
import { expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseVni, type Vni } from "../../common/ids.js";
import { FakeKernel } from "../../test/fakes/kernel.js";
import { VXLAN } from "./names.js";
import { plan } from "./plan.js";
import type { HostWant, NetworkWant } from "./want.js";

const ip = (text: string) => parseIp(text) as Ip;
const network: NetworkWant = {
  networkId: "n1",
  name: "over",
  vni: parseVni(4097) as Vni,
  mtuBytes: 0,
  vtep: ip("192.0.2.1"),
  port: 4789,
  path: "userspace",
  subnets: [parsePrefix("10.0.1.0/24") as Prefix],
  locals: [
    {
      endpointId: "me",
      mac: "02:42:0a:00:01:02" as Mac,
      prefixes: [parsePrefix("10.0.1.2/24") as Prefix],
      interfaceName: "eth0",
      sandbox: { kind: "own", id: "aaaa" },
      version: 1,
    },
  ],
  remotes: [
    {
      endpointId: "peer",
      mac: "02:42:0a:00:01:03" as Mac,
      ips: [ip("10.0.1.3")],
      vtep: ip("192.0.2.2"),
      version: 2,
    },
  ],
  floodTo: [ip("192.0.2.2")],
};
const wantOf = (more: Partial<NetworkWant> = {}): HostWant => ({
  sandboxes: [{ id: "aaaa" }],
  networks: [{ ...network, ...more }],
});

/** The kinds of the steps until nothing is left to do. */
async function converge(kernel: FakeKernel, want: HostWant): Promise<string[]> {
  const done: string[] = [];
  for (let round = 0; round < 4; round++) {
    const { steps } = plan(want, await kernel.dump([{ kind: "own", id: "aaaa" }]));
    if (steps.length === 0) return done;
    for (const step of steps) await kernel.perform(step);
    done.push(...steps.map(({ kind }) => kind));
  }
  throw new Error(`never done: ${done.join(", ")}`);
}

test("a TAP in the VXLAN device's place, and the switch has the rows and the MACs of this node", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  const steps = await converge(kernel, wantOf());
  expect(steps).toEqual(["make-sandbox", "make-network", "make-tap", "put-rows", "make-endpoint"]);
  const made = kernel.networks.get(4097);
  expect(made?.links.get(VXLAN)?.kind).toBe("tun");
  expect(made?.switched).toMatchObject({
    ...{ local: "192.0.2.1", port: 4789, also: undefined },
    ...{ fdb: new Map([["02:42:0a:00:01:03", "192.0.2.2"]]), flood: new Set(["192.0.2.2"]) },
    locals: new Set(["02:42:0a:00:01:02"]),
  });
  expect(await converge(kernel, wantOf())).toEqual([]);
});

test("an agent that starts again finds its TAP, and fills an empty switch: nothing is removed", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  await converge(kernel, wantOf());
  const found = kernel.networks.get(4097);
  if (found === undefined) throw new Error("no network");
  found.switched = undefined;
  found.fdb.clear();
  found.flood.clear();
  expect(await converge(kernel, wantOf())).toEqual(["make-tap", "put-rows"]);
});

test("the port's change, and its two ports meanwhile, keep device and rows", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  await converge(kernel, wantOf());
  expect(await converge(kernel, wantOf({ also: 5000 }))).toEqual(["make-tap"]);
  expect(kernel.networks.get(4097)?.switched).toMatchObject({ port: 4789, also: 5000 });
  expect(await converge(kernel, wantOf({ port: 5000, also: 4789 }))).toEqual(["make-tap"]);
  expect(await converge(kernel, wantOf({ port: 5000 }))).toEqual(["make-tap"]);
});

test("another path's device goes before any network takes the UDP port, and endpoints stay", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  await converge(kernel, wantOf({ path: "kernel", also: 5000 }));
  const there = await converge(kernel, wantOf());
  expect(there).toEqual(["remove-vxlan", "remove-listener", "make-tap", "put-rows"]);
  const back = await converge(kernel, wantOf({ path: "kernel" }));
  expect(back).toEqual(["remove-vxlan", "make-vxlan", "put-rows"]);
  expect(kernel.networks.get(4097)?.switched).toBeUndefined();
});

test("an endpoint that came or went is a row of the switch too, and so is the bridge where it is an end", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  await converge(kernel, wantOf());
  const own = { mac: "02:50:c0:00:02:01" as Mac, prefix: parsePrefix("192.0.2.1/32") as Prefix };
  const { steps } = plan(wantOf({ own }), await kernel.dump([{ kind: "own", id: "aaaa" }]));
  expect(steps).toContainEqual(
    expect.objectContaining({ kind: "put-rows", rows: [{ kind: "local", mac: own.mac }] }),
  );
  await converge(kernel, wantOf({ locals: network.locals, remotes: [], floodTo: [] }));
  expect(kernel.networks.get(4097)?.switched?.fdb.size).toBe(0);
});
