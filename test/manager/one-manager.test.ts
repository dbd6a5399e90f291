// One manager process, end to end: made, used by agents, abused by strangers.
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRefusal, Refused } from "../../common/fault.js";
import { joinTokenOf, parseJoinToken } from "../../common/join-token.js";
import { ClusterSpec, NodeState, Role } from "../../proto/gen/types.js";
import { compiledManager } from "./compiled.js";
import { clientsOf, TestAgent, TestManager, until } from "./harness.js";

/** A manager of this test alone. */
async function withAnother(work: (other: TestManager) => Promise<void>): Promise<void> {
  const other = await TestManager.start(main);
  try {
    await work(other);
  } finally {
    await other.close();
  }
}

let main: string;
let manager: TestManager;

beforeAll(async () => {
  main = await compiledManager();
  manager = await TestManager.start(main);
  const made = await manager.init();
  if (isRefusal(made)) throw new Refused(made);
}, 120_000);
afterAll(() => manager?.close());

describe("a new swarm", () => {
  test("has one node, which is its manager, and an ingress network", async () => {
    const { nodes, leaderNodeId } = await manager.must(
      manager.control,
      manager.control.listNodes,
      {},
    );
    expect(nodes).toHaveLength(1);
    expect(nodes[0]).toMatchObject({ id: manager.nodeId, role: Role.MANAGER });
    expect(leaderNodeId).toBe(manager.nodeId);
    const { networks } = await manager.must(manager.control, manager.control.listNetworks, {});
    expect(networks.map((network) => [network.spec?.name, network.vni])).toEqual([
      ["ingress", 4096],
    ]);
  });

  test("never shows its root key", async () => {
    const cluster = await manager.must(manager.control, manager.control.getCluster, {});
    expect(cluster.rootCaKey).toHaveLength(0);
  });

  test("cannot be made again", async () => {
    const again = await manager.init();
    expect(isRefusal(again) && again.message).toContain("already part of a swarm");
  });

  test("names the port that another manager has", () =>
    withAnother(async (other) => {
      const made = await other.init({ listenAddr: manager.addr });
      const sentence = `listen tcp ${manager.addr}: bind: address already in use`;
      expect(isRefusal(made) && made.message).toBe(sentence);
      expect((await other.status()).state).toBe("idle");
      expect(isRefusal(await other.init())).toBe(false);
    }));

  test("refuses a pool that is none, and stays idle", () =>
    withAnother(async (other) => {
      const made = await other.init({ defaultAddrPools: ["10.0.0.0/99"] });
      expect(isRefusal(made) && made.code).toBe("invalid-argument");
      expect((await other.status()).state).toBe("idle");
    }));
});

describe("an agent", () => {
  test("joins, attaches, and is told of it and of what others do", async () => {
    const network = await manager.createNetwork("overnet");
    if (isRefusal(network)) throw new Refused(network);
    expect(network).toMatchObject({ vni: 4097, subnets: [{ cidr: "10.0.1.0/24" }] });
    const agent = await TestAgent.join(manager.addr, await manager.token("worker"));
    expect(agent.role).toBe(Role.WORKER);
    const session = agent.openSession();
    await session.heard("welcome");
    await session.heard("node");
    await session.heard("assignments");
    expect(session.assignments()[0]).toMatchObject({ full: true, networks: [] });

    const { dispatcher, call, close } = agent.clients();
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
    const attached = await call(dispatcher, dispatcher.attach, request);
    if (isRefusal(attached)) throw new Refused(attached);
    expect(attached.endpoint).toMatchObject({ ipv4: "10.0.1.2/24", mac: "02:42:0a:00:01:02" });
    expect(attached.endpoint?.meta?.version).toBeGreaterThan(0);
    await session.heard("assignments", 2);
    expect(session.assignments()[1]).toMatchObject({
      full: false,
      networks: [{ id: network.id }],
      endpoints: [{ id: "e1" }],
    });
    const again = await call(dispatcher, dispatcher.attach, request);
    expect(again).toEqual(attached);

    const inUse = await manager.call(manager.control, manager.control.removeNetwork, {
      id: network.id,
    });
    expect(isRefusal(inUse) && inUse.message).toContain("is in use by");
    await call(dispatcher, dispatcher.detach, { endpointId: "e1" });
    await session.heard("assignments", 3);
    expect(session.assignments()[2]?.removedEndpoints).toEqual(["e1"]);
    close();
    session.close();
  });

  test("has one session: a second ends the first", async () => {
    const agent = await TestAgent.join(manager.addr, await manager.token("worker"));
    const first = agent.openSession();
    await first.heard("assignments");
    const second = agent.openSession();
    await second.heard("assignments");
    await until("the first ends", () => first.ended || undefined);
    expect(first.error?.details).toBe("this node began another session");
    second.close();
    first.close();
  });

  test("is measured when a network is probed", async () => {
    const network = await manager.createNetwork("probed");
    if (isRefusal(network)) throw new Refused(network);
    const agent = await TestAgent.join(manager.addr, await manager.token("worker"));
    const session = agent.openSession();
    await session.heard("assignments");
    const { dispatcher, call, close } = agent.clients();
    const wish = { aliases: [], ownerId: "", hostname: "", ipv4: "", ipv6: "" };
    const request = { endpointId: "p1", network: network.id, name: "p", ...wish };
    await call(dispatcher, dispatcher.attach, request);
    const stream = manager.control.probeNetwork({
      networkId: "probed",
      count: 1,
      timeoutMs: 500,
      sizeBytes: 56,
      fromNodeIds: [],
    });
    const [probe] = await session.heard("probe");
    if (probe?.$case !== "probe") throw new Error("no probe");
    const result = {
      ...{ fromNodeId: "somebody else", fromEndpointId: "p1", toNodeId: "", toEndpointId: "p1" },
      ...{ sent: 1, received: 1, rttMinUs: 10, rttAvgUs: 10, rttMaxUs: 10, error: "" },
      toAddress: "",
    };
    const { probeId } = probe.value;
    session.send({ $case: "probe", value: { probeId, results: [result], done: true } });
    const results: unknown[] = [];
    for await (const each of stream) results.push(each);
    expect(results).toEqual([{ ...result, fromNodeId: agent.nodeId }]);
    close();
    session.close();
  });

  test("that was removed is told so and gets nothing more", async () => {
    const agent = await TestAgent.join(manager.addr, await manager.token("worker"));
    const session = agent.openSession();
    await session.heard("assignments");
    await manager.must(manager.control, manager.control.removeNode, {
      id: agent.nodeId,
      force: true,
    });
    await until("the session ends", () => session.ended || undefined);
    expect(session.error?.details).toContain("was removed from the swarm");
    const { dispatcher, authority, call, close } = agent.clients();
    const found = await call(dispatcher, dispatcher.findNetwork, { nameOrId: "ingress" });
    expect(isRefusal(found) && found.code).toBe("permission-denied");
    const { createCsr } = await import("../../common/csr.js");
    const renewed = await call(authority, authority.issueCertificate, {
      csr: await createCsr(agent.identity.privateKey),
      token: "",
      availability: 0,
      hostname: "",
      onBehalfOf: "",
      remoteAddr: "",
    });
    expect(isRefusal(renewed) && renewed.code).toBe("permission-denied");
    session.close();
    close();
  });

  test("renews its certificate as the node that it is", async () => {
    const agent = await TestAgent.join(manager.addr, await manager.token("worker"));
    const { authority, call, close } = agent.clients();
    const { createCsr } = await import("../../common/csr.js");
    const renewed = await call(authority, authority.issueCertificate, {
      csr: await createCsr(agent.identity.privateKey),
      token: "",
      availability: 0,
      hostname: "",
      onBehalfOf: manager.nodeId,
      remoteAddr: "",
    });
    expect(renewed).toMatchObject({ nodeId: agent.nodeId, role: Role.WORKER });
    close();
  });

  test("that leaves is down at once", async () => {
    const agent = await TestAgent.join(manager.addr, await manager.token("worker"));
    const session = agent.openSession();
    await session.heard("assignments");
    const { dispatcher, call, close } = agent.clients();
    await call(dispatcher, dispatcher.leave, {});
    const { nodes } = await manager.must(manager.control, manager.control.listNodes, {});
    expect(nodes.find(({ id }) => id === agent.nodeId)?.state).toBe(NodeState.DOWN);
    close();
    session.close();
  });
});

describe("a token", () => {
  test("of another swarm is refused before anything is sent", async () => {
    const token = await manager.token("worker");
    const foreign = token.replace(/1-[0-9a-z]{50}/, `1-${"1".padEnd(50, "2")}`);
    const join = TestAgent.join(manager.addr, foreign);
    await expect(join).rejects.toThrow(/^remote CA does not match fingerprint. Expected: /);
  });

  test("with a wrong secret is refused", async () => {
    const token = await manager.token("worker");
    const join = TestAgent.join(manager.addr, token.slice(0, -25) + "0".repeat(25));
    await expect(join).rejects.toThrow("A valid join token is necessary to join this cluster");
  });

  test("that was rotated is refused, and the new one opens", async () => {
    const old = await manager.token("worker");
    const before = await manager.must(manager.control, manager.control.getCluster, {});
    await manager.must(manager.control, manager.control.updateCluster, {
      version: before.meta?.version ?? 0,
      spec: undefined,
      rotateWorkerToken: true,
      rotateManagerToken: false,
      rotateUnlockKey: false,
      dataPathPort: 0,
    });
    await expect(TestAgent.join(manager.addr, old)).rejects.toThrow("valid join token");
    const token = await manager.token("worker");
    expect(token).not.toBe(old);
    expect((await TestAgent.join(manager.addr, token)).role).toBe(Role.WORKER);
  });
});

describe("a stranger", () => {
  const listNodes = { kind: "permission-denied" };
  test("without a certificate gets PERMISSION_DENIED everywhere but at the authority", async () => {
    const clients = clientsOf(manager.addr, manager.identity, false);
    const { control, dispatcher, raft, call } = clients;
    const answers = [
      await call(control, control.listNodes, {}),
      await call(dispatcher, dispatcher.findNetwork, { nameOrId: "ingress" }),
      await call(raft, raft.join, { addr: "127.0.0.1:1", nodeId: "" }),
    ];
    expect(answers.map((answer) => isRefusal(answer) && answer.code)).toEqual(
      answers.map(() => listNodes.kind),
    );
    clients.close();
  });

  test("with a worker's certificate gets no further than the dispatcher", async () => {
    const agent = await TestAgent.join(manager.addr, await manager.token("worker"));
    const { control, raft, dispatcher, call, close } = agent.clients();
    const answers = [
      await call(control, control.listNodes, {}),
      await call(raft, raft.join, { addr: "127.0.0.1:1", nodeId: manager.nodeId }),
      await call(raft, raft.leave, { nodeId: manager.nodeId, seatOnly: false }),
    ];
    for (const answer of answers) {
      expect(isRefusal(answer) && answer.code).toBe("permission-denied");
    }
    const found = await call(dispatcher, dispatcher.findNetwork, { nameOrId: "ingress" });
    expect(isRefusal(found)).toBe(false);
    close();
  });

  test("with another swarm's certificate is nobody", () =>
    withAnother(async (other) => {
      await other.init();
      const identity = { ...other.identity, rootCaCert: manager.identity.rootCaCert };
      const clients = clientsOf(manager.addr, identity);
      const answer = await clients.call(clients.control, clients.control.listNodes, {});
      expect(isRefusal(answer) && answer.code).toBe("permission-denied");
      clients.close();
    }));

  test("that sends garbage does no harm", async () => {
    const [host, port] = manager.addr.split(":");
    for (const garbage of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", "\0".repeat(70_000)]) {
      await new Promise<void>((resolve) => {
        const socket = connect({ host: host ?? "", port: Number(port) }, () => socket.end(garbage));
        socket.on("error", () => resolve());
        socket.on("close", () => resolve());
        socket.resume();
      });
    }
    expect((await manager.status()).state).toBe("running");
    const { nodes } = await manager.must(manager.control, manager.control.listNodes, {});
    expect(nodes.length).toBeGreaterThan(0);
  });
});

test("kill -9, then start: the manager holds what it held", async () => {
  const before = await manager.must(manager.control, manager.control.listNetworks, {});
  const cluster = await manager.must(manager.control, manager.control.getCluster, {});
  await manager.kill();
  await manager.spawn();
  const after = await manager.must(manager.control, manager.control.listNetworks, {});
  expect(after).toEqual(before);
  const token = joinTokenOf(cluster.rootCaCert, cluster.joinSecrets?.worker ?? "");
  expect(isRefusal(parseJoinToken(token))).toBe(false);
  expect((await TestAgent.join(manager.addr, token)).clusterId).toBe(cluster.id);
});

test("the last manager leaves only when forced, and then nothing is left", () =>
  withAnother(async (other) => {
    await other.init();
    const refused = await other.call(other.admin, other.admin.leave, { force: false });
    expect(isRefusal(refused) && refused.message).toContain("last manager");
    await other.must(other.admin, other.admin.leave, { force: true });
    await until("the process ends", () =>
      other.call(other.admin, other.admin.status, {}).then(
        () => undefined,
        () => true,
      ),
    );
    await other.spawn();
    expect((await other.status()).state).toBe("idle");
  }));

test("a node that falls silent is down after three beats, and ready when it is back", () =>
  withAnother(async (other) => {
    const spec = ClusterSpec.fromPartial({ heartbeatPeriodMs: 100 });
    const made = await other.init({ spec });
    if (isRefusal(made)) throw new Refused(made);
    const agent = await TestAgent.join(other.addr, await other.token("worker"));
    const state = async () => {
      const { nodes } = await other.must(other.control, other.control.listNodes, {});
      return nodes.find(({ id }) => id === agent.nodeId);
    };
    const session = agent.openSession();
    await session.heard("assignments");
    expect((await state())?.state).toBe(NodeState.READY);
    await until("it is down", async () => (await state())?.state === NodeState.DOWN || undefined);
    expect((await state())?.message).toBe("heartbeat failure");
    await until("its session ends", () => session.ended || undefined);
    const back = agent.openSession();
    await back.heard("assignments");
    expect((await state())?.state).toBe(NodeState.READY);
    back.close();
    session.close();
  }));

test("a node that is not heard for a moment is silent, not down, until it is heard", () =>
  withAnother(async (other) => {
    await other.init();
    const agent = await TestAgent.join(other.addr, await other.token("worker"));
    const stateOf = async () => {
      const { nodes } = await other.must(other.control, other.control.listNodes, {});
      const node = nodes.find(({ id }) => id === agent.nodeId);
      return `${NodeState[node?.state ?? 0]} ${node?.silent}`;
    };
    const session = agent.openSession();
    await session.heard("assignments");
    expect(await stateOf()).toBe("READY false");
    await until("it is silent", async () => (await stateOf()) === "READY true" || undefined);
    session.send({ $case: "heartbeat", value: { nowMs: 0 } });
    await until("it is heard", async () => (await stateOf()) === "READY false" || undefined);
    session.close();
  }));

test("a damaged folder is refused with a reason, and not touched", () =>
  withAnother(async (other) => {
    await other.init();
    await other.kill();
    const path = join(other.dir, "state", "identity.json");
    await writeFile(path, "{");
    await other.spawn();
    const { state, message } = await other.status();
    expect(state).toBe("failed");
    expect(message).toContain(path);
    expect(await readFile(path, "utf8")).toBe("{");
    const refused = await other.init();
    expect(isRefusal(refused) && refused.message).toContain("is damaged");
    const kept = await other.call(other.admin, other.admin.leave, { force: false });
    expect(isRefusal(kept) && kept.message).toContain("--force");
    const saved = await other.call(other.admin, other.admin.backup, {});
    expect(isRefusal(saved) && saved.message).toContain(path);
  }));

test("a folder of another release is refused with a reason, and not touched", () =>
  withAnother(async (other) => {
    await other.init();
    await other.kill();
    const path = join(other.dir, "state", "version");
    await writeFile(path, "format 99\n");
    await other.spawn();
    const { state, message } = await other.status();
    expect(state).toBe("failed");
    expect(message).toContain("is of format 99, this release reads format 1");
    expect(await readFile(path, "utf8")).toBe("format 99\n");
  }));

test("a port that is taken at start is named, and taken up when it is free", () =>
  withAnother(async (other) => {
    await other.init();
    await other.kill();
    const [host, port] = other.addr.split(":");
    const squatter = createServer().listen(Number(port), host);
    await once(squatter, "listening");
    await other.spawn();
    const { message } = await until("it says why", async () => {
      const status = await other.status();
      return status.message === "" ? undefined : status;
    });
    expect(message).toBe(`listen tcp ${other.addr}: bind: address already in use`);
    squatter.close();
    await until("it runs", async () => (await other.status()).state === "running" || undefined);
  }));

test("SIGTERM ends it in order, and it comes back", () =>
  withAnother(async (other) => {
    await other.init();
    const network = await other.createNetwork("kept");
    await other.kill("SIGTERM");
    await other.spawn();
    const { networks } = await other.must(other.control, other.control.listNetworks, {});
    expect(networks).toContainEqual(network);
  }));
