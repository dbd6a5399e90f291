// Three manager processes whose addresses change: one, told to itself; then all at once.
import { afterAll, beforeAll, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { freePort } from "../fakes/free-port.js";
import { compiledManager } from "./compiled.js";
import { startThree, type TestManager, until } from "./harness.js";

const managers: TestManager[] = [];

beforeAll(async () => {
  await startThree(await compiledManager(), managers);
}, 120_000);
afterAll(async () => {
  for (const manager of managers) await manager.close();
});

/** Another loopback address: nothing answers at the one before. */
async function move(manager: TestManager, host: string): Promise<void> {
  const addr = `${host}:${await freePort()}`;
  await manager.must(manager.admin, manager.admin.setAddr, { nodeId: "", addr, listenAddr: addr });
  manager.addr = addr;
}

/** Every manager can write, and says of every other where it is now. */
async function allIsWell(): Promise<void> {
  const want = new Map(managers.map(({ nodeId, addr }) => [nodeId, addr]));
  for (const manager of managers) {
    await until("the addresses are known", async () => {
      const listed = await manager.call(manager.control, manager.control.listNodes, {});
      if (isRefusal(listed)) return undefined;
      const recorded = new Map(listed.nodes.map(({ id, manager: seat }) => [id, seat?.addr]));
      return [...want].every(([id, addr]) => recorded.get(id) === addr) || undefined;
    });
  }
}

test("a manager with another address is found by its certificate, whether it leads or not", async () => {
  await allIsWell();
  const { leaderNodeId } = await (managers[0] as TestManager).status();
  for (const [index, manager] of managers.entries()) {
    if (manager.nodeId !== leaderNodeId && index !== 1) continue;
    await move(manager, `127.0.1.${index + 1}`);
    await allIsWell();
  }
}, 60_000);

test("all at once, they find each other when one is told of the rest", async () => {
  await allIsWell();
  await Promise.all(managers.map((manager, index) => move(manager, `127.0.2.${index + 1}`)));
  const [first, ...others] = managers as [TestManager, TestManager, TestManager];
  await until("nobody leads", async () => {
    const { leaderNodeId, state } = await first.status();
    return (state === "running" && leaderNodeId === "") || undefined;
  });
  const { setAddr } = first.admin;
  for (const { nodeId, addr } of others) {
    const said = await first.must(first.admin, setAddr, { nodeId, addr, listenAddr: "" });
    // The first one made a quorum, perhaps.
    if (nodeId === others[0].nodeId) expect(said.hereOnly).toBe(true);
  }
  await allIsWell();
}, 60_000);

test("of somebody who is no manager, and to nowhere, it is refused", async () => {
  const [first] = managers as [TestManager];
  const { setAddr } = first.admin;
  const ask = (nodeId: string, addr: string) =>
    first.call(first.admin, setAddr, { nodeId, addr, listenAddr: "" });
  expect(await ask("nobody", "127.0.0.1:2377")).toMatchObject({ code: "not-found" });
  expect(await ask(first.nodeId, "nowhere")).toMatchObject({ code: "invalid-argument" });
});
