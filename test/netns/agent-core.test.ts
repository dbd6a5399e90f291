// Membership against real manager processes on loopback: the parts of the agent that need no kernel.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type RunningAgent, startAgent } from "../../agent/agent.js";
import type { InitSwarm, JoinSwarm } from "../../agent/seams.js";
import { isRefusal, orThrow, refuse } from "../../common/fault.js";
import { callUnary } from "../../common/grpc/call.js";
import { joinTokenOf } from "../../common/join-token.js";
import { CreateNetworkRequest } from "../../proto/gen/control.js";
import { Availability, NetworkSpec, type Node, NodeState, Role } from "../../proto/gen/types.js";
import { type CorePowers, corePowers } from "../fakes/agent-powers.js";
import { freeAddr } from "../fakes/free-port.js";
import { PLAIN_INIT } from "../fakes/init-swarm.js";

interface Host {
  readonly folder: string;
  readonly powers: CorePowers;
  readonly agent: RunningAgent;
}
const hosts: Host[] = [];

async function host(
  name: string,
  folder = mkdtempSync(join(tmpdir(), `skein-${name}-`)),
): Promise<Host> {
  const powers = corePowers(folder, name);
  const made = { folder, powers, agent: await startAgent(powers) };
  hosts.push(made);
  return made;
}

afterEach(async () => {
  for (const { agent, folder } of hosts.splice(0)) {
    await agent.close();
    if (!process.env["SKEIN_TEST_KEEP"]) rmSync(folder, { recursive: true, force: true });
  }
});

async function initRequest(): Promise<InitSwarm> {
  const listenAddr = await freeAddr();
  return { ...PLAIN_INIT, listenAddr, advertiseAddr: listenAddr };
}

async function joinRequest(token: string, ...remoteAddrs: string[]): Promise<JoinSwarm> {
  const listenAddr = await freeAddr();
  const advertiseAddr = listenAddr;
  return {
    listenAddr,
    advertiseAddr,
    dataPathAddr: "",
    availability: Availability.ACTIVE,
    remoteAddrs,
    token,
  };
}

const NETWORK = NetworkSpec.create({
  driver: "overlay",
  attachable: true,
  ipamDriver: "default",
});
const CALL = { addr: "test", timeoutMs: 10_000 };

async function nodesOf({ agent }: Host): Promise<readonly Node[]> {
  const control = orThrow(agent.membership.control());
  return orThrow(await callUnary(control.listNodes.bind(control), {}, CALL)).nodes;
}

async function tokensOf({ agent }: Host): Promise<{ worker: string; manager: string }> {
  const control = orThrow(agent.membership.control());
  const cluster = orThrow(await callUnary(control.getCluster.bind(control), {}, CALL));
  const { worker = "", manager = "" } = cluster.joinSecrets ?? {};
  return {
    worker: joinTokenOf(cluster.rootCaCert, worker),
    manager: joinTokenOf(cluster.rootCaCert, manager),
  };
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const endMs = Date.now() + 15_000;
  let last: unknown;
  while (Date.now() < endMs) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited too long for ${what}`, { cause: last });
}

async function setRole(manager: Host, nodeId: string, role: Role): Promise<void> {
  const node = (await nodesOf(manager)).find(({ id }) => id === nodeId);
  const control = orThrow(manager.agent.membership.control());
  const spec = { name: "", labels: {}, availability: Availability.ACTIVE, ...node?.spec, role };
  const request = { id: nodeId, version: node?.meta?.version ?? 0, spec };
  orThrow(await callUnary(control.updateNode.bind(control), request, CALL));
}

const messageOf = (value: unknown) => (isRefusal(value) ? value.message : value);

test("a node makes a swarm, is ready in it, and is it still after its agent was restarted", async () => {
  const h1 = await host("h1");
  expect(messageOf(h1.agent.membership.control())).toMatch(/docker swarm init/);
  const made = orThrow(await h1.agent.membership.init(await initRequest()));
  await until("the node to be ready", async () => {
    const [node] = await nodesOf(h1);
    return node?.state === NodeState.READY && node.id === made.nodeId;
  });
  expect(messageOf(await h1.agent.membership.init(await initRequest()))).toMatch(
    /already part of a swarm/,
  );
  expect(messageOf(await h1.agent.membership.leave(false))).toMatch(
    /Removing the last manager erases all/,
  );

  await h1.agent.close();
  hosts.pop();
  const again = await host("h1", h1.folder);
  expect(again.agent.membership.status()).toMatchObject({ state: "active", nodeId: made.nodeId });
  await until("the manager to lead again", async () => (await nodesOf(again)).length === 1);

  expect(await again.agent.membership.leave(true)).toBeUndefined();
  expect(again.agent.membership.status().state).toBe("inactive");
  expect(readdirSync(`${h1.folder}/state`).sort()).toEqual(["log"]);
  expect(messageOf(await again.agent.membership.leave(true))).toBe(
    "This node is not part of a swarm",
  );
});

test("a worker joins, is refused manager's calls, and leaves", async () => {
  const h1 = await host("h1");
  const init = await initRequest();
  orThrow(await h1.agent.membership.init(init));
  const tokens = await until("tokens", () => tokensOf(h1));
  const h2 = await host("h2");
  const joined = orThrow(
    await h2.agent.membership.join(await joinRequest(tokens.worker, init.advertiseAddr)),
  );
  expect(joined.role).toBe(Role.WORKER);
  expect(messageOf(h2.agent.membership.control())).toMatch(/Worker nodes can't be used/);
  const { nodeId } = h2.agent.membership.status();
  expect((await nodesOf(h1)).find((node) => node.id === nodeId)?.state).toBe(NodeState.READY);
  expect(
    messageOf(await h2.agent.membership.join(await joinRequest(tokens.worker, init.advertiseAddr))),
  ).toMatch(/already part/);

  expect(await h2.agent.membership.leave(false)).toBeUndefined();
  await until("the node to be down", async () =>
    (await nodesOf(h1)).some((node) => node.id === nodeId && node.state === NodeState.DOWN),
  );
});

test("what is wrong with a join is said, in time, and leaves nothing behind", async () => {
  const h1 = await host("h1");
  const init = await initRequest();
  orThrow(await h1.agent.membership.init(init));
  const { worker } = await until("tokens", () => tokensOf(h1));
  const h2 = await host("h2");
  const join = async (token: string, addr: string) => {
    const beganMs = Date.now();
    const outcome = messageOf(await h2.agent.membership.join(await joinRequest(token, addr)));
    expect(Date.now() - beganMs).toBeLessThan(5_000);
    expect(h2.agent.membership.status().state).toBe("inactive");
    expect(readdirSync(`${h2.folder}/state`)).toEqual([]);
    return outcome;
  };
  const nobody = await freeAddr();
  expect(await join("SWMTKN-1-bad", init.advertiseAddr)).toBe("invalid join token");
  expect(await join(worker, nobody)).toBe(
    `cannot reach a manager: dial tcp ${nobody}: connect: connection refused`,
  );
  const otherSwarm = `${worker.slice(0, 9)}1${"2".repeat(49)}${worker.slice(59)}`;
  expect(await join(otherSwarm, init.advertiseAddr)).toMatch(
    /remote CA does not match fingerprint/,
  );
  const wrongSecret = `${worker.slice(0, 60)}${"0".repeat(25)}`;
  expect(await join(wrongSecret, init.advertiseAddr)).toMatch(/join token/);
  expect(await nodesOf(h1)).toHaveLength(1);
});

test("a worker is promoted and demoted again, and a manager's agent may die without it", async () => {
  const h1 = await host("h1");
  const init = await initRequest();
  orThrow(await h1.agent.membership.init(init));
  const { worker } = await until("tokens", () => tokensOf(h1));
  const h2 = await host("h2");
  orThrow(await h2.agent.membership.join(await joinRequest(worker, init.advertiseAddr)));
  const { nodeId } = h2.agent.membership.status();

  await setRole(h1, nodeId, Role.MANAGER);
  await until("the second manager", async () => {
    const nodes = await nodesOf(h2);
    return nodes.length === 2 && nodes.every((node) => node.manager !== undefined);
  });
  expect(h2.agent.membership.status().role).toBe(Role.MANAGER);

  await setRole(h1, nodeId, Role.WORKER);
  await until("the second manager to be a worker", async () => {
    return !h2.powers.manager.started && h2.agent.membership.status().role === Role.WORKER;
  });
  const nodes = await until("one manager", async () => {
    const all = await nodesOf(h1);
    return all.filter((node) => node.manager !== undefined).length === 1 && all;
  });
  expect(nodes.find((node) => node.id === nodeId)?.role).toBe(Role.WORKER);
  expect(readdirSync(`${h2.folder}/state`)).not.toContain("manager");
  // The last manager stays one.
  await expect(setRole(h1, h1.agent.membership.status().nodeId, Role.WORKER)).rejects.toThrow(
    /last manager/,
  );
  expect(JSON.parse(readFileSync(`${h2.folder}/state/node.json`, "utf8"))).toMatchObject({
    role: "worker",
  });
});

function managerPid({ folder }: Host): number {
  return JSON.parse(readFileSync(`${folder}/run/manager.pid`, "utf8")).pid;
}

test("a killed manager comes back; a killed agent's manager goes on and is found again", async () => {
  const h1 = await host("h1");
  orThrow(await h1.agent.membership.init(await initRequest()));
  await until("a session", async () => h1.agent.membership.member?.session.kind === "open");
  const first = managerPid(h1);
  process.kill(first, "SIGKILL");
  await until("another process", async () => managerPid(h1) !== first);
  await until("it to serve", async () => (await nodesOf(h1)).length === 1);
  await until("a session", async () => h1.agent.membership.member?.session.kind === "open");

  const second = managerPid(h1);
  // What SIGKILL leaves of an agent: nobody looks after the manager, and nobody told it anything.
  await h1.powers.manager.release();
  await h1.agent.membership.close();
  const again = await host("h1", h1.folder);
  expect(managerPid(again)).toBe(second);
  await until("it to serve", async () => (await nodesOf(again)).length === 1);
  hosts.splice(hosts.indexOf(h1), 1);
});

test("endpoints are given, journalled, and known after a restart without any manager", async () => {
  const h1 = await host("h1");
  const init = await initRequest();
  orThrow(await h1.agent.membership.init(init));
  const { worker } = await until("tokens", () => tokensOf(h1));
  const control = orThrow(h1.agent.membership.control());
  const spec = { ...NETWORK, name: "overnet" };
  const wish = CreateNetworkRequest.fromPartial({ spec });
  const network = orThrow(await callUnary(control.createNetwork.bind(control), wish, CALL));
  const h2 = await host("h2");
  orThrow(await h2.agent.membership.join(await joinRequest(worker, init.advertiseAddr)));
  const member = h2.agent.membership.member;
  const request = {
    endpointId: "e1",
    network: "overnet",
    name: "web",
    aliases: [],
    ownerId: "",
    hostname: "",
    ipv4: "",
    ipv6: "",
  };
  const given = orThrow((await member?.link.attach(request)) ?? refuse("not-found", "no member"));
  expect(given.endpoint?.ipv4).toBe("10.0.1.2/24");
  await until("the session to tell", async () => member?.held.current.endpoints.length === 1);
  expect(h2.agent.node.localNetworks()).toMatchObject([{ network: { id: network.id, vni: 4097 } }]);
  expect(
    messageOf(await member?.link.attach({ ...request, endpointId: "e2", network: "none" })),
  ).toMatch(/not found/);

  await h1.agent.close();
  await h2.agent.close();
  const again = await host("h2", h2.folder);
  expect(again.agent.membership.status().state).toBe("active");
  expect(again.agent.node.localNetworks()).toMatchObject([{ endpoints: [{ id: "e1" }] }]);
  // Leaving needs nobody either.
  expect(await again.agent.membership.leave(false)).toBeUndefined();
  for (const { folder } of hosts.splice(0, 2)) {
    if (folder !== h2.folder) rmSync(folder, { recursive: true, force: true });
  }
});

test("of three managers one leaves by force, and the others go on", async () => {
  const h1 = await host("h1");
  const init = await initRequest();
  orThrow(await h1.agent.membership.init(init));
  const { manager } = await until("tokens", () => tokensOf(h1));
  const others = [await host("h2"), await host("h3")];
  for (const { agent } of others) {
    const joined = await agent.membership.join(await joinRequest(manager, init.advertiseAddr));
    expect(orThrow(joined).role).toBe(Role.MANAGER);
  }
  expect(messageOf(await h1.agent.membership.leave(false))).toMatch(/participating as a manager/);
  expect(await h1.agent.membership.leave(true)).toBeUndefined();
  const [h2, h3] = others as [Host, Host];
  for (const left of [h2, h3]) {
    await until("two managers", async () => {
      const nodes = await nodesOf(left);
      return nodes.filter((node) => node.manager !== undefined).length === 2;
    });
    await until("a session", async () => left.agent.membership.member?.session.kind === "open");
  }
});

test("a certificate that is renewed is used by everything at once", async () => {
  const h1 = await host("h1");
  orThrow(await h1.agent.membership.init(await initRequest()));
  const member = h1.agent.membership.member;
  await until("a session", async () => member?.session.kind === "open");
  const before = Buffer.from(member?.identity.certificate ?? []).toString();
  expect(await member?.renew()).toBeUndefined();
  expect(Buffer.from(member?.identity.certificate ?? []).toString()).not.toBe(before);
  expect(readFileSync(`${h1.folder}/state/identity/cert.pem`, "utf8")).not.toBe(before);
  const found = await member?.link.findNetwork("ingress");
  expect(found).toMatchObject({ vni: 4096 });
});
