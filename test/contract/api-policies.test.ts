// /skein/v1/policies, as a client sees it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiHost, type ApiLab, apiLab } from "./api-lab.js";

const PATH = "/skein/v1/policies";
let lab: ApiLab;
let h1: ApiHost;

beforeAll(async () => {
  lab = await apiLab();
  h1 = lab.hosts.h1;
  await h1.docker(["swarm", "init", "--advertise-addr", "192.168.133.1"]);
  await h1.docker(["network", "create", "-d", "overlay", "--opt", "skein.policy=deny", "shop"]);
  for (const name of ["web", "db"]) {
    const words = ["service", "create", "-d", "--name", name, "--network", "shop", "alpine"];
    expect((await h1.docker([...words, "sleep", "60"])).exitCode).toBe(0);
  }
});
afterAll(() => lab.close());

test("a policy is made, listed by names and removed by the beginning of its id", async () => {
  const ports = [
    { Protocol: "tcp", Port: 5432 },
    { Protocol: "udp", Port: 0 },
  ];
  const body = { Network: "shop", From: "web", To: "db", Ports: ports };
  const made = await h1.http("POST", PATH, body);
  const id = expect.stringMatching(/^[0-9a-z]{25}$/);
  expect([made.status, made.json]).toEqual([
    201,
    {
      ID: id,
      Network: "shop",
      NetworkID: id,
      From: "web",
      FromID: id,
      To: "db",
      ToID: id,
      Ports: ports,
      Created: expect.any(String),
    },
  ]);
  const everybody = await h1.http("POST", PATH, { Network: "shop", From: "*", To: "web" });
  expect(everybody.json).toMatchObject({ From: "*", FromID: "", To: "web", Ports: [] });
  const list = async (filters: object) => {
    const query = `?filters=${encodeURIComponent(JSON.stringify(filters))}`;
    return (await h1.http("GET", `${PATH}${query}`)).json;
  };
  expect((await h1.http("GET", PATH)).json).toEqual([made.json, everybody.json]);
  expect(await list({ from: ["web"] })).toEqual([made.json]);
  expect(await list({ from: ["*"] })).toEqual([everybody.json]);
  const { ID, ToID } = made.json as { ID: string; ToID: string };
  expect(await list({ to: [ToID], network: ["shop"] })).toEqual([made.json]);
  expect(await list({ id: [ID.slice(0, 10)] })).toEqual([made.json]);
  expect((await h1.http("DELETE", `${PATH}/${ID.slice(0, 10)}`)).status).toBe(204);
  expect((await h1.http("GET", PATH)).json).toEqual([everybody.json]);
});

const bad = [
  [{ To: "db" }, 400, 'a policy needs From: a service, or "*" for everybody'],
  [{ From: "web" }, 400, "a policy needs To: a service"],
  [{ From: "web", To: "*" }, 400, "a policy is for one service: To cannot be everybody"],
  [{ From: "web", To: "db", Ports: [{ Protocol: "icmp" }] }, 400, 'invalid protocol "icmp"'],
  [{ From: "web", To: "db", Ports: [{ Port: 65_536 }] }, 400, "invalid port 65536"],
  [{ From: "web", To: "db", Ports: [80] }, 400, ""],
  [{ From: "web", To: "nope" }, 404, "service nope not found"],
] as const;
for (const [body, status, sentence] of bad) {
  test(`${JSON.stringify(body)} is refused`, async () => {
    const answer = await h1.http("POST", PATH, body);
    expect(answer.status).toBe(status);
    expect((answer.json as { message: string }).message).toContain(sentence);
  });
}

test("an unknown one and an unknown filter are refused", async () => {
  const gone = await h1.http("DELETE", `${PATH}/nope`);
  expect([gone.status, gone.json]).toEqual([404, { message: "policy nope not found" }]);
  const filters = encodeURIComponent('{"colour":["red"]}');
  expect((await h1.http("GET", `${PATH}?filters=${filters}`)).status).toBe(400);
});

test("outside of a swarm there is no manager to ask", async () => {
  const answer = await lab.hosts.h3.http("GET", PATH);
  expect(answer.status).toBe(503);
  expect(answer.json).toMatchObject({
    message: expect.stringMatching(/^This node is not a swarm/),
  });
});
