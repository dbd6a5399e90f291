// Three manager processes, and a node that was removed by force: what its certificate still opens.
import { afterAll, beforeAll, expect, test } from "vitest";
import { createCsr } from "../../common/csr.js";
import { isRefusal } from "../../common/fault.js";
import { dialRaft } from "../../manager/wire/dial.js";
import { IssueCertificateRequest } from "../../proto/gen/ca.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { compiledManager } from "./compiled.js";
import { clientsOf, startThree, TestAgent, type TestManager, until } from "./harness.js";

let main: string;
const managers: TestManager[] = [];
let first: TestManager;

beforeAll(async () => {
  main = await compiledManager();
  first = await startThree(main, managers);
}, 120_000);
afterAll(async () => {
  for (const manager of managers) await manager.close();
});

async function remove(nodeId: string): Promise<void> {
  await first.must(first.control, first.control.removeNode, { id: nodeId, force: true });
}

async function nodeOf(nodeId: string): Promise<Node | undefined> {
  const { nodes } = await first.must(first.control, first.control.listNodes, {});
  return nodes.find(({ id }) => id === nodeId);
}

/** A manager is removed only when it is none any more; its certificate goes on saying that it is. */
async function demote(nodeId: string): Promise<void> {
  await until("the demotion", async () => {
    const node = await nodeOf(nodeId);
    if (node?.role === Role.WORKER) return true;
    if (node?.spec === undefined) throw new Error("no such node");
    const version = node.meta?.version ?? 0;
    const request = { id: nodeId, version, spec: { ...node.spec, role: Role.WORKER } };
    await first.call(first.control, first.control.updateNode, request);
    return undefined;
  });
}

/** A connection as managers hold them open to each other. */
async function openRaft(agent: TestAgent, addr: string) {
  const socket = dialRaft(addr, agent.identity);
  const connection = { endedMs: 0, close: () => socket.destroy() };
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => {});
  socket.resume();
  socket.once("close", () => {
    connection.endedMs = performance.now();
  });
  return connection;
}

/** What each service says to this certificate at `addr`: a code of refusal, or "open". */
async function opens(agent: TestAgent, addr: string): Promise<readonly string[]> {
  const { control, authority, raft, dispatcher, call, close } = agent.clients(addr);
  const csr = await createCsr(agent.identity.privateKey);
  const answers = await Promise.allSettled([
    call(control, control.listNodes, {}),
    call(authority, authority.issueCertificate, IssueCertificateRequest.fromPartial({ csr })),
    call(raft, raft.join, { addr, nodeId: "" }),
    call(raft, raft.leave, { nodeId: "", seatOnly: false }),
    call(dispatcher, dispatcher.findNetwork, { nameOrId: "ingress" }),
  ]);
  close();
  return answers.map((answer) => {
    if (answer.status === "rejected") return "cut";
    return isRefusal(answer.value) ? answer.value.code : "open";
  });
}

/** Of a manager that was just started: it has no leader yet, or it has just read who was removed. */
const CLOSED = ["permission-denied", "unavailable", "failed-precondition", "cut"];

test("a removed node's streams are cut on every manager within a second, and nothing opens again", async () => {
  const agent = await TestAgent.join(first.addr, await first.token("manager"));
  const links = await Promise.all(managers.map(({ addr }) => openRaft(agent, addr)));
  const session = agent.openSession();
  await session.heard("welcome");
  await demote(agent.nodeId);
  const beganMs = performance.now();
  await remove(agent.nodeId);
  await until("all streams are cut", () => links.every(({ endedMs }) => endedMs > 0) || undefined);
  await until("the session is cut", () => session.ended || undefined);
  expect(Math.max(...links.map(({ endedMs }) => endedMs)) - beganMs).toBeLessThan(1_000);
  expect(session.error?.details).toContain("was removed from the swarm");
  for (const { addr } of managers) {
    const answers = await opens(agent, addr);
    expect(answers.every((answer) => answer === "permission-denied")).toBe(true);
  }
  for (const { close } of links) close();
  session.close();

  // All at once: nobody can ask another before it serves.
  for (const manager of managers) await manager.kill();
  await Promise.all(managers.map((manager) => manager.spawn()));
  const again = await Promise.all(managers.map(({ addr }) => opens(agent, addr)));
  expect(again.flat().filter((answer) => !CLOSED.includes(answer))).toEqual([]);
  await until("a leader", async () => (await first.status()).leaderNodeId || undefined);
  for (const { addr } of managers) {
    const answers = await opens(agent, addr);
    expect(answers.every((answer) => answer === "permission-denied")).toBe(true);
  }

  // With a token the machine is another node.
  const anew = await TestAgent.join(first.addr, await first.token("worker"));
  expect(anew.nodeId).not.toBe(agent.nodeId);
}, 60_000);

test("a manager answers others only what is sent on to it", async () => {
  const { control, call, close } = clientsOf(first.addr, first.identity);
  const answer = await call(control, control.listNodes, {});
  expect(isRefusal(answer) && answer.code).toBe("permission-denied");
  close();
});
