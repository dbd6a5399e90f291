import { describe, expect, test } from "vitest";
import { parsePrefix } from "../../common/address.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { EndpointMode, PortProtocol } from "../../proto/gen/service.js";
import { EndpointKind } from "../../proto/gen/types.js";
import { question, see } from "../../test/fakes/dns-messages.js";
import { reachOf } from "../reach/reach.js";
import { NetworkNames } from "./names.js";
import { readQuery } from "./query.js";
import { nameKey } from "./wire.js";
import { answer, type Zone } from "./zone.js";

const network = (id: string, name: string, cidr: string) => ({
  id,
  spec: { name },
  subnets: [{ cidr }],
});
const endpoint = (
  id: string,
  networkId: string,
  name: string,
  ipv4: string,
  more: object = {},
) => ({
  id,
  networkId,
  name,
  ipv4,
  nodeId: "a",
  kind: EndpointKind.ATTACHMENT,
  ownerId: `owner-${id}`,
  ...more,
});
const vip = { kind: EndpointKind.VIP, nodeId: "" };
const task = (serviceId: string, serving = true) => ({
  kind: EndpointKind.TASK,
  serviceId,
  serving,
});

const held = Assignments.create({
  networks: [network("n1", "front", "10.0.1.0/24"), network("n2", "back.end", "10.0.2.0/24")],
  endpoints: [
    endpoint("v1", "n1", "web", "10.0.1.2/24", {
      ...vip,
      serviceId: "s1",
      aliases: ["www"],
      ipv6: "fd00::2/64",
    }),
    endpoint("t1", "n1", "web.1.abc", "10.0.1.3/24", task("s1")),
    endpoint("t2", "n1", "web.2.def", "10.0.1.4/24", task("s1", false)),
    endpoint("t3", "n1", "web.3.ghi", "10.0.1.5/24", { ...task("s1"), ipv6: "fd00::5/64" }),
    endpoint("t4", "n1", "db.1.abc", "10.0.1.6/24", { ...task("s2"), aliases: ["sql"] }),
    endpoint("t5", "n1", "db.2.def", "10.0.1.7/24", { ...task("s2", false), aliases: ["sql"] }),
    endpoint("t6", "n1", "sick.1.abc", "10.0.1.8/24", task("s3", false)),
    endpoint("c1", "n1", "box", "10.0.1.9/24", {
      aliases: ["crate", "0123456789ab"],
      hostname: "boxhost",
    }),
    endpoint("c2", "n1", "twin", "10.0.1.10/24"),
    endpoint("c3", "n1", "twin", "10.0.1.11/24", { nodeId: "b" }),
    endpoint("c4", "n1", "other", "10.0.1.12/24", { hostname: "web" }),
    endpoint("c5", "n2", "box", "10.0.2.9/24"),
    endpoint("c6", "n2", "only.here", "10.0.2.10/24"),
  ],
  peers: [{ nodeId: "a" }, { nodeId: "b" }],
  services: [
    {
      id: "s1",
      name: "web",
      ports: [{ name: "http", targetPort: 80, protocol: PortProtocol.TCP, publishedPort: 8080 }],
    },
    {
      id: "s2",
      name: "db",
      mode: EndpointMode.DNSRR,
      ports: [{ name: "", targetPort: 5432, protocol: PortProtocol.TCP, publishedPort: 5432 }],
    },
    { id: "s3", name: "sick", mode: EndpointMode.DNSRR },
  ],
});

function zoneOf(...ids: string[]): Zone {
  const reach = reachOf(held, "a");
  return ids.map((id) => {
    const view = reach.networks.get(id);
    if (view === undefined) throw new Error(id);
    const names = new NetworkNames();
    names.update(view);
    const subnets = view.network.subnets.flatMap(({ cidr }) => parsePrefix(cidr) ?? []);
    return { key: nameKey(view.network.spec?.name ?? ""), names, subnets };
  });
}

function ask(zone: Zone, name: string, type = "A"): string {
  const read = readQuery(question(name, type));
  if (read.kind !== "query") return read.kind;
  const bytes = answer(zone, read.query, "udp", 1);
  if (bytes === undefined) return "outside";
  const { code, answers } = see(bytes);
  return [code, ...[...answers].sort()].join(" | ");
}

const both = zoneOf("n1", "n2");
const cases: readonly (readonly [string, string, string, string])[] = [
  ["a service has its VIP", "web", "A", "NOERROR | A 10.0.1.2"],
  ["and one of the other family", "web", "AAAA", "NOERROR | AAAA fd00::2"],
  ["in any case of letters", "WeB", "A", "NOERROR | A 10.0.1.2"],
  ["with a trailing dot", "web.", "A", "NOERROR | A 10.0.1.2"],
  ["with the network's name", "web.front", "A", "NOERROR | A 10.0.1.2"],
  ["by an alias", "www", "A", "NOERROR | A 10.0.1.2"],
  ["its tasks are those that are usable", "tasks.web", "A", "NOERROR | A 10.0.1.3 | A 10.0.1.5"],
  ["of the family that is asked for", "tasks.web", "AAAA", "NOERROR | AAAA fd00::5"],
  ["also with the network's name", "tasks.web.front", "A", "NOERROR | A 10.0.1.3 | A 10.0.1.5"],
  ["without a VIP it has its usable tasks", "db", "A", "NOERROR | A 10.0.1.6"],
  ["the alias of one without a VIP", "sql", "A", "NOERROR | A 10.0.1.6"],
  ["none is usable: the name is there, an address is not", "sick", "A", "NOERROR"],
  ["the same of tasks.", "tasks.sick", "A", "NOERROR"],
  ["a task by its name, whether it serves or not", "web.2.def", "A", "NOERROR | A 10.0.1.4"],
  ["a container", "box", "A", "NOERROR | A 10.0.1.9"],
  ["no address of that family: no such record, not no such name", "box", "AAAA", "NOERROR"],
  ["no mail", "box", "MX", "NOERROR"],
  ["a container by an alias", "crate", "A", "NOERROR | A 10.0.1.9"],
  ["by its short id", "0123456789ab", "A", "NOERROR | A 10.0.1.9"],
  ["by its hostname", "boxhost", "A", "NOERROR | A 10.0.1.9"],
  ["a hostname does not stand in a service's way", "web", "A", "NOERROR | A 10.0.1.2"],
  ["two of one name are both answered", "twin", "A", "NOERROR | A 10.0.1.10 | A 10.0.1.11"],
  [
    "the same name on the second network, by that one's name",
    "box.back.end",
    "A",
    "NOERROR | A 10.0.2.9",
  ],
  ["a name with a dot", "only.here", "A", "NOERROR | A 10.0.2.10"],
  ["and its network's name with one", "only.here.back.end", "A", "NOERROR | A 10.0.2.10"],
  ["nobody's name", "nobody", "A", "outside"],
  ["nobody's on a network of ours", "nobody.front", "A", "outside"],
  ["not on that network", "web.back.end", "A", "outside"],
  ["the outside", "www.example.com", "A", "outside"],
  ["the root", ".", "A", "outside"],
  ["whose address: a service's", "2.1.0.10.in-addr.arpa", "PTR", "NOERROR | PTR web.front"],
  ["a task's", "3.1.0.10.in-addr.arpa", "PTR", "NOERROR | PTR web.1.abc.front"],
  ["a container's", "9.2.0.10.in-addr.arpa", "PTR", "NOERROR | PTR box.back.end"],
  ["of the other family", `5${".0".repeat(27)}.d.f.ip6.arpa`, "PTR", "outside"],
  ["nobody's, on our network", "99.1.0.10.in-addr.arpa", "PTR", "NXDOMAIN"],
  ["an address elsewhere", "1.1.1.1.in-addr.arpa", "PTR", "outside"],
  ["no address", "x.1.0.10.in-addr.arpa", "PTR", "outside"],
  ["a port by its name", "_http._tcp.web", "SRV", "NOERROR | SRV 80 web.front"],
  ["by its number", "_80._tcp.web", "SRV", "NOERROR | SRV 80 web.front"],
  ["qualified", "_http._tcp.web.front", "SRV", "NOERROR | SRV 80 web.front"],
  [
    "of every usable task",
    "_http._tcp.tasks.web",
    "SRV",
    "NOERROR | SRV 80 web.1.abc.front | SRV 80 web.3.ghi.front",
  ],
  ["of one without a VIP", "_5432._tcp.db", "SRV", "NOERROR | SRV 5432 db.1.abc.front"],
  ["of the other protocol", "_http._udp.web", "SRV", "NOERROR"],
  ["a port that is not published", "_ftp._tcp.web", "SRV", "NXDOMAIN"],
  ["a service's port of nobody", "_ftp._tcp.example.com", "SRV", "outside"],
];
describe("a sandbox on two networks", () => {
  for (const [name, asked, type, want] of cases) {
    test(`${name}: ${asked} ${type}`, () => expect(ask(both, asked, type)).toBe(want));
  }
});

test("an IPv6 address leads to its name", () => {
  const digits = "fd000000000000000000000000000005";
  const name = `${[...digits].reverse().join(".")}.ip6.arpa`;
  expect(ask(both, name, "PTR")).toBe("NOERROR | PTR web.3.ghi.front");
});

test("the network of the first interface comes first", () => {
  expect(ask(zoneOf("n2", "n1"), "box")).toBe("NOERROR | A 10.0.2.9");
});

test("names of a network that the sandbox is not on are not answered", () => {
  expect([ask(zoneOf("n2"), "web"), ask(zoneOf("n2"), "web.front")]).toEqual([
    "outside",
    "outside",
  ]);
});
