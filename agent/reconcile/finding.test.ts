import { expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import { endpointNeeds, findingOf, sandboxesOf } from "./finding.js";
import { FILTER, FORWARDING, type Step, tablesSubject } from "./step.js";
import type { HostWant, LocalEndpoint, NetworkWant, SandboxRef } from "./want.js";
import { WIREGUARD } from "./wireguard-plan.js";

const OWN = { kind: "own", id: "aaaaaaaaaaaaaaaa" } as const;
const HOST: SandboxRef = { kind: "host" };
const VNI = parseVni(4097) as Vni;

const endpoint = (endpointId: string, sandbox: SandboxRef): LocalEndpoint => ({
  endpointId,
  mac: parseMac("02:42:0a:00:01:02") as Mac,
  prefixes: [parsePrefix("10.0.1.2/24") as Prefix],
  interfaceName: "eth0",
  sandbox,
  version: 1,
});
function wanting(locals: readonly LocalEndpoint[], more: Partial<NetworkWant> = {}): HostWant {
  const network: NetworkWant = {
    networkId: "n1",
    name: "overnet",
    vni: VNI,
    mtuBytes: 1450,
    vtep: parseIp("192.0.2.1") as Ip,
    port: 4789,
    path: "kernel",
    subnets: [],
    locals,
    remotes: [],
    floodTo: [],
    ...more,
  };
  return { sandboxes: [], networks: [network] };
}
const tablesOf = (sandbox: SandboxRef) => [
  tablesSubject(sandbox, "tables"),
  tablesSubject(sandbox, "hooks"),
];

test("an endpoint depends on its network, the tables of its sandbox, and the sandbox if that is ours", () => {
  const needs = endpointNeeds(wanting([endpoint("e1", OWN), endpoint("e2", HOST)]));
  expect(needs.get("e1")).toEqual(["e1", "n1", ...tablesOf(OWN), OWN.id]);
  expect(needs.get("e2")).toEqual(["e2", "n1", ...tablesOf(HOST)]);
});

test("an endpoint of an encrypted network depends on WireGuard", () => {
  const needs = endpointNeeds(wanting([endpoint("e1", HOST)], { encrypted: "wireguard" }));
  expect(needs.get("e1")).toContain(WIREGUARD);
});

test("an endpoint on a bridge of the machine depends on its filter and on forwarding", () => {
  const bridge = {
    networkId: "b1",
    name: "bridge",
    device: "skein0",
    mtuBytes: 1500,
    addresses: [],
    internal: false,
    icc: true,
    masquerade: true,
    locals: [endpoint("e1", OWN)],
  };
  const local = { bridges: [bridge], ports: [] };
  const needs = endpointNeeds({ sandboxes: [], networks: [], local });
  expect(needs.get("e1")).toEqual(expect.arrayContaining(["b1", FILTER, FORWARDING]));
});

test("rows too many keep nobody waiting; rows too few do", () => {
  const drop: Step = { kind: "drop-rows", networkId: "n1", vni: VNI, rows: [] };
  const put: Step = { kind: "put-rows", networkId: "n2", vni: VNI, rows: [] };
  const problems = new Map([["e1", "The address is taken."]]);
  const found = findingOf(wanting([]), { steps: [drop, put], problems }, 7, false);
  expect(found).toMatchObject({ generation: 7, isFinal: false, hopeless: problems });
  expect(found.open).toEqual(new Set(["n2"]));
});

test("one looks into sandboxes, not into the namespaces of networks, which are looked at anyway", () => {
  const tables = [
    { sandbox: OWN, tables: [] },
    { sandbox: { kind: "network", vni: VNI } as const, tables: [] },
  ];
  expect(sandboxesOf({ ...wanting([endpoint("e1", HOST)]), tables })).toEqual([HOST, OWN]);
});
