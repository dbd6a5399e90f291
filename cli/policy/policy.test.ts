import { describe, expect, test } from "vitest";
import { answer, ask } from "../testing/ask.js";
import type { Exchange } from "../testing/fake-agent.js";
import { parsePolicyPorts, portText } from "./port.js";

const ports = [
  ["80", "80/tcp"],
  ["53/udp", "53/udp"],
  ["53/ANY", "53/any"],
  ["udp", "udp"],
  ["any", "all"],
  ["8000-8002/sctp", "8000/sctp 8001/sctp 8002/sctp"],
] as const;
for (const [written, want] of ports) {
  test(`the port ${written}`, () => {
    expect(parsePolicyPorts(written).map(portText).join(" ")).toBe(want);
  });
}
for (const written of ["", "0", "65536", "80/icmp", "8080:80", "9-8", "1-65", "-1", "80/"]) {
  test(`"${written}" is no port`, () => {
    expect(() => parsePolicyPorts(written)).toThrow();
  });
}

const [SHOP, OPEN] = ["net-shop", "net-open"];
const networks = [
  { Id: SHOP, Name: "shop", Options: { "skein.policy": "deny" } },
  { Id: OPEN, Name: "open", Options: {} },
];
const service = (name: string, ...on: string[]) => ({
  ID: `id-${name}`,
  Spec: { Name: name, TaskTemplate: { Networks: on.map((Target) => ({ Target })) } },
});
const services = [
  service("web", SHOP),
  service("db", SHOP),
  service("free", SHOP, OPEN),
  service("both", SHOP, OPEN),
  service("lone", OPEN),
];
const policy = (from: string, to: string, ...allowed: object[]) => ({
  ID: `${from}${to}0123456789abcdef`,
  Network: "shop",
  NetworkID: SHOP,
  From: from,
  FromID: from === "*" ? "" : `id-${from}`,
  To: to,
  ToID: `id-${to}`,
  Ports: allowed,
  Created: "2026-11-21T11:00:00Z",
});
const policies = [
  policy("web", "db", { Protocol: "tcp", Port: 5432 }),
  policy("*", "web"),
  policy("db", "both", { Protocol: "udp", Port: 0 }),
];

async function askShop(words: string, more: readonly Exchange[] = []) {
  const got = (path: string, body: unknown, status = 200) => answer("GET", path, body, status);
  const missing = got("/services/nope", { message: "service nope not found" }, 404);
  const exchanges = [
    ...more,
    got("/skein/v1/policies", policies),
    got("/networks", networks),
    got("/networks/shop", networks[0]),
    ...services.map((one) => got(`/services/${one.Spec.Name}`, one)),
    missing,
  ];
  return ask(exchanges, words.split(" "), { nowMs: Date.parse("2026-11-21T12:00:00Z") });
}

describe("skein policy", () => {
  test("ls shows names and ports", async () => {
    expect((await askShop("policy ls")).stdout).toBe(
      "ID             NETWORK   FROM      TO        PORTS      CREATED\n" +
        "dbboth012345   shop      db        both      udp        About an hour ago\n" +
        "webdb0123456   shop      web       db        5432/tcp   About an hour ago\n" +
        "*web01234567   shop      *         web       all        About an hour ago\n",
    );
    const words = ["policy", "ls", "--filter", "to=db", "--format", "{{.FromID}}>{{.ToID}}"];
    const result = await askShop(words.join(" "));
    expect(result.stdout).toContain("id-web>id-db\n");
    expect(result.heard[0]?.path).toContain(encodeURIComponent('{"to":{"db":true}}'));
  });

  test("allow asks for every port, and any is everybody", async () => {
    const made: Exchange = {
      method: "POST",
      path: "/skein/v1/policies",
      status: 201,
      body: '{"ID":"p1"}',
    };
    const result = await askShop("policy allow any db --network shop --port 80 --port 53/udp", [
      made,
    ]);
    expect([result.stdout, result.exit]).toEqual(["p1\n", 0]);
    expect(result.heard[0]?.body).toEqual({
      Network: "shop",
      From: "*",
      To: "db",
      Ports: [
        { Protocol: "tcp", Port: 80 },
        { Protocol: "udp", Port: 53 },
      ],
    });
  });

  test("allow refuses a port that is none before it asks", async () => {
    const result = await askShop("policy allow web db --port 80/icmp");
    expect(result.stderr).toContain('invalid argument "80/icmp" for "--port" flag');
    expect([result.exit, result.heard]).toEqual([125, []]);
  });

  test("rm goes on after a mistake", async () => {
    const gone = (id: string, status: number, body: string): Exchange => ({
      method: "DELETE",
      path: `/skein/v1/policies/${id}`,
      status,
      body,
    });
    const missing = gone("nope", 404, '{"message":"policy nope not found"}');
    const result = await askShop("policy rm nope p1", [missing, gone("p1", 204, "")]);
    expect(result).toMatchObject({
      stdout: "p1\n",
      stderr: "Error response from daemon: policy nope not found\n",
      exit: 1,
    });
  });

  const questions = [
    ["web db:5432", "shop: allowed: policy webdb0123456789abcdef (web → db: 5432/tcp)\n", 0],
    ["web db", "shop: allowed: policy webdb0123456789abcdef (web → db: 5432/tcp)\n", 0],
    [
      "web db:22",
      "shop: denied: no policy allows this port; policy webdb0123456789abcdef (web → db: 5432/tcp)\n",
      1,
    ],
    ["db web:80/udp", "shop: allowed: policy *web0123456789abcdef (* → web: all)\n", 0],
    ["any web", "shop: allowed: policy *web0123456789abcdef (* → web: all)\n", 0],
    ["any db", "shop: denied: no policy allows it\n", 1],
    ["db both:53/udp", "shop: allowed: policy dbboth0123456789abcdef (db → both: udp)\n", 0],
    [
      "free both",
      "shop: denied: no policy allows it\nopen: allowed: the network denies nothing\n",
      0,
    ],
    ["free both --network shop", "shop: denied: no policy allows it\n", 1],
  ] as const;
  for (const [words, stdout, exit] of questions) {
    test(`explain ${words}`, async () => {
      expect(await askShop(`policy explain ${words}`)).toMatchObject({ stdout, exit });
    });
  }

  test("explain says what cannot be judged", async () => {
    expect(await askShop("policy explain web lone")).toMatchObject({
      stderr: "web and lone have no network in common\n",
      exit: 1,
    });
    expect(await askShop("policy explain web nope")).toMatchObject({
      stderr: "Error response from daemon: service nope not found\n",
      exit: 1,
    });
  });
});
