// What dockerd answered to plain HTTP requests (status and body, from captures of dockerd 20.10.24), said
// by the local API. Meant differences stand beside the case.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiHost, type ApiLab, apiLab } from "./api-lab.js";

let lab: ApiLab;
let h1: ApiHost;
let h2: ApiHost;
beforeAll(async () => {
  lab = await apiLab();
  ({ h1, h2 } = lab.hosts);
  await h1.http("POST", "/swarm/init", { ListenAddr: "0.0.0.0:2377" });
  const swarm = (await h1.http("GET", "/swarm")).json as { JoinTokens: { Worker: string } };
  await h2.http("POST", "/swarm/join", {
    RemoteAddrs: ["192.168.133.1:2377"],
    JoinToken: swarm.JoinTokens.Worker,
  });
  await h1.http("POST", "/networks/create", {
    Name: "overnet",
    Driver: "overlay",
    Attachable: true,
  });
});
afterAll(async () => {
  await lab.close();
});

const WORKER =
  "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.";
const ALREADY =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';

describe("errors have dockerd's status and words", () => {
  const cases: readonly (readonly [
    name: string,
    host: "h1" | "h2",
    method: string,
    path: string,
    body: unknown,
    status: number,
    message: string,
  ])[] = [
    ["no such path", "h1", "GET", "/", undefined, 404, "page not found"],
    ["no such method", "h1", "PUT", "/v1.41/networks", undefined, 404, "page not found"],
    ["a swarm call on a worker", "h2", "GET", "/v1.41/swarm", undefined, 503, WORKER],
    ["services on a worker", "h2", "GET", "/v1.41/services", undefined, 503, WORKER],
    ["init again", "h1", "POST", "/v1.41/swarm/init", { ListenAddr: "0.0.0.0:2377" }, 503, ALREADY],
    ["join again", "h1", "POST", "/v1.41/swarm/join", { JoinToken: "x" }, 503, ALREADY],
    [
      "leave as the last manager",
      "h1",
      "POST",
      "/v1.41/swarm/leave",
      undefined,
      503,
      "You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ",
    ],
    [
      "no body",
      "h1",
      "POST",
      "/v1.41/networks/create",
      undefined,
      400,
      "got EOF while reading request body",
    ],
    [
      "a body that is no JSON",
      "h1",
      "POST",
      "/v1.41/networks/create",
      "{bad",
      400,
      "invalid character 'b' looking for beginning of object key string",
    ],
    // dockerd 20.10 says 500 here, newer ones 400: it is the client's mistake.
    [
      "a filter that is no JSON",
      "h1",
      "GET",
      "/v1.41/networks?filters=%7Bbad",
      undefined,
      400,
      "invalid character 'b' looking for beginning of object key string",
    ],
    [
      "a network of a name that is taken",
      "h1",
      "POST",
      "/v1.41/networks/create",
      { Name: "overnet", Driver: "overlay", CheckDuplicate: true },
      409,
      "network with name overnet already exists",
    ],
    [
      "a network that is not there",
      "h1",
      "DELETE",
      "/v1.41/networks/nosuch",
      undefined,
      404,
      "network nosuch not found",
    ],
    [
      "Docker's default network",
      "h1",
      "DELETE",
      "/v1.41/networks/bridge",
      undefined,
      403,
      "bridge is a pre-defined network and cannot be removed",
    ],
    [
      "a network of Docker's own",
      "h1",
      "DELETE",
      "/v1.41/networks/host",
      undefined,
      403,
      "host is a pre-defined network and cannot be removed",
    ],
    [
      "another scope",
      "h1",
      "GET",
      "/v1.41/networks/overnet?scope=local",
      undefined,
      404,
      "network overnet not found",
    ],
    [
      "connecting a container that is not there",
      "h1",
      "POST",
      "/v1.41/networks/overnet/connect",
      { Container: "nosuch" },
      404,
      "No such container: nosuch",
    ],
    [
      "an update of an old version",
      "h1",
      "POST",
      "/v1.41/nodes/h2/update?version=1",
      { Role: "worker", Availability: "active" },
      500,
      "rpc error: code = Unknown desc = update out of sequence",
    ],
    [
      "a task that is not there",
      "h1",
      "GET",
      "/v1.41/tasks/nosuch",
      undefined,
      404,
      "task nosuch not found",
    ],
    [
      "a service that is not there",
      "h1",
      "DELETE",
      "/v1.41/services/nosuch",
      undefined,
      404,
      "service nosuch not found",
    ],
    [
      "creating a service of nothing",
      "h1",
      "POST",
      "/v1.41/services/create",
      {},
      400,
      "mismatched Runtime and *Spec fields",
    ],
    [
      "unlocking",
      "h1",
      "POST",
      "/v1.41/swarm/unlock",
      { UnlockKey: "x" },
      409,
      "swarm is not locked",
    ],
  ];
  for (const [name, host, method, path, body, status, message] of cases) {
    test(name, async () => {
      const answer = await lab.hosts[host].http(method, path, body);
      expect([answer.status, answer.json]).toEqual([status, { message }]);
      expect(answer.headers["content-type"]).toBe("application/json");
    });
  }

  test("removing a network in use names what uses it", async () => {
    const made = await h1.http("POST", "/skein/v1/attachments", { Network: "overnet" });
    expect(made.status).toBe(201);
    const answer = await h1.http("DELETE", "/v1.41/networks/overnet");
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(
      /rpc error: code = FailedPrecondition desc = network \w{25} is in use by/,
    );
    const { ID } = made.json as { ID: string };
    expect((await h1.http("DELETE", `/skein/v1/attachments/${ID}`)).status).toBe(204);
  });

  test("a version too old is refused in plain text where the client may not know JSON", async () => {
    const old = await h1.http("GET", "/v1.11/info");
    expect([old.status, old.headers["content-type"]]).toEqual([400, "text/plain; charset=utf-8"]);
    expect(old.text).toContain(
      "client version 1.11 is too old. Minimum supported API version is 1.40",
    );
    const fresh = await h1.http("GET", "/v1.99/info");
    expect([fresh.status, fresh.headers["content-type"]]).toEqual([400, "application/json"]);
    expect(fresh.text).toContain(
      "client version 1.99 is too new. Maximum supported API version is 1.50",
    );
  });

  test("a body that is too long is refused unread", async () => {
    const answer = await h1.http("POST", "/networks/create", { Name: "x".repeat(5_000_000) });
    expect(answer.status).toBe(413);
  });

  test("a body of another type is refused", async () => {
    const { request } = await import("node:http");
    const status = await new Promise((resolve) => {
      const sent = request(
        {
          socketPath: h1.socketPath,
          method: "POST",
          path: "/networks/create",
          headers: { "Content-Type": "text/plain" },
        },
        (response) => resolve(response.resume().statusCode),
      );
      sent.end("{}");
    });
    expect(status).toBe(400);
  });
});

describe("/_ping", () => {
  for (const [method, path, body] of [
    ["GET", "/_ping", "OK"],
    ["HEAD", "/_ping", ""],
    ["GET", "/v1.41/_ping", "OK"],
  ] as const) {
    test(`${method} ${path}`, async () => {
      const answer = await h1.http(method, path);
      expect([answer.status, answer.text]).toEqual([200, body]);
      expect(answer.headers).toMatchObject({
        "api-version": "1.50",
        "cache-control": "no-cache, no-store, must-revalidate",
        "docker-experimental": "false",
        ostype: "linux",
        pragma: "no-cache",
        swarm: "active/manager",
        "content-type": "text/plain; charset=utf-8",
      });
    });
  }
  test("says what the node is", async () => {
    expect((await h2.http("HEAD", "/_ping")).headers["swarm"]).toBe("active/worker");
    expect((await lab.hosts.h3.http("HEAD", "/_ping")).headers["swarm"]).toBe("inactive");
  });
});

describe("empty is empty", () => {
  for (const path of [
    "/services",
    "/secrets",
    "/configs",
    "/tasks",
    "/images/json",
    "/plugins",
    "/containers/json",
  ]) {
    test(path, async () => expect((await h1.http("GET", path)).json).toEqual([]));
  }
  test("/volumes", async () => {
    expect((await h1.http("GET", "/volumes")).json).toEqual({ Volumes: [], Warnings: null });
  });
  test("/swarm/unlockkey", async () => {
    expect((await h1.http("GET", "/swarm/unlockkey")).json).toEqual({ UnlockKey: "" });
  });
});

describe("what a newer client is given", () => {
  test("networks say whether they have IPv4 from 1.48", async () => {
    expect((await h1.http("GET", "/v1.47/networks/overnet")).json).not.toHaveProperty("EnableIPv4");
    expect((await h1.http("GET", "/v1.48/networks/overnet")).json).toHaveProperty(
      "EnableIPv4",
      true,
    );
  });
  test("info names the firewall from 1.49", async () => {
    expect((await h1.http("GET", "/v1.48/info")).json).not.toHaveProperty("FirewallBackend");
    expect((await h1.http("GET", "/info")).json).toHaveProperty(
      "FirewallBackend.Driver",
      "nftables",
    );
  });
});

describe("a manager that cannot answer", () => {
  test("is told apart from a wrong request, and /info still answers", async () => {
    const { refuse } = await import("../../common/fault.js");
    const swarm = h1.node.swarm;
    if (!swarm) throw new Error("there is a swarm");
    swarm.outage = refuse("unavailable", "The swarm does not have a leader.");
    const nodes = await h1.http("GET", "/nodes");
    const info = await h1.http("GET", "/info");
    swarm.outage = undefined;
    expect([nodes.status, nodes.json]).toEqual([
      503,
      { message: "rpc error: code = Unavailable desc = The swarm does not have a leader." },
    ]);
    expect(info.status).toBe(200);
    expect(info.json).toHaveProperty("Swarm.ControlAvailable", true);
    expect(info.json).toHaveProperty(
      "Swarm.Error",
      expect.stringContaining("does not have a leader"),
    );
  });

  test("says in /info and the doctor what is wrong with it, and not that others are away", async () => {
    const { refuse } = await import("../../common/fault.js");
    const swarm = h1.node.swarm;
    if (!swarm) throw new Error("there is a swarm");
    const why = "the manager of this node does not run: x.log is damaged at byte 8.";
    swarm.outage = refuse("unavailable", why);
    const info = await h1.http("GET", "/info");
    const doctor = await h1.http("GET", "/skein/v1/doctor");
    swarm.outage = undefined;
    expect(info.json).toHaveProperty("Swarm.Error", why);
    expect(doctor.json).toMatchObject({
      Findings: [{ What: why, Remedy: expect.stringMatching(/^Ask another manager/) }],
    });
  });

  test("is shown as unreachable by the others, whatever its node's session says", async () => {
    const swarm = h1.node.swarm;
    if (!swarm) throw new Error("there is a swarm");
    const reachability = async () => {
      const { json } = await h1.http("GET", "/nodes");
      return (json as { ID: string; Status: object; ManagerStatus?: object }[])
        .filter((node) => node.ManagerStatus !== undefined)
        .map(({ Status, ManagerStatus }) => ({ ...Status, ...ManagerStatus }));
    };
    const [first] = swarm.nodes;
    expect(await reachability()).toMatchObject([{ State: "ready", Reachability: "reachable" }]);
    swarm.unheardManagers = [first?.id ?? ""];
    expect(await reachability()).toMatchObject([{ State: "ready", Reachability: "unreachable" }]);
    swarm.unheardManagers = [];
  });
});

describe("a network of this node alone", () => {
  test("is made with the driver that is Docker's default, shown, and removed", async () => {
    const body = {
      Name: "alone",
      Labels: { tier: "front" },
      IPAM: { Config: [{ Subnet: "10.9.0.0/24", Gateway: "10.9.0.254" }] },
      Options: { "com.docker.network.bridge.enable_icc": "false" },
    };
    const made = await h1.http("POST", "/networks/create", body);
    expect(made.status).toBe(201);
    const { Id: id } = made.json as { Id: string };
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect((await h1.http("GET", `/v1.41/networks/${id.slice(0, 12)}`)).json).toMatchObject({
      Name: "alone",
      Scope: "local",
      Driver: "bridge",
      IPAM: { Config: [{ Subnet: "10.9.0.0/24", Gateway: "10.9.0.254" }] },
      Options: { "com.docker.network.bridge.enable_icc": "false" },
      Labels: { tier: "front" },
      Containers: {},
    });
    const again = await h1.http("POST", "/networks/create", { Name: "alone" });
    expect([again.status, again.json]).toEqual([
      409,
      { message: "network with name alone already exists" },
    ]);
    const clash = { Name: "clash", IPAM: { Config: [{ Subnet: "10.9.0.0/16" }] } };
    expect((await h1.http("POST", "/networks/create", clash)).json).toEqual({
      message: "Pool overlaps with other one on this address space",
    });
    expect((await h1.http("DELETE", "/networks/alone")).status).toBe(204);
    expect((await h1.http("GET", "/networks/alone")).status).toBe(404);
  });
});
