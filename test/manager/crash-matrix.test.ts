// A real manager is killed at every change that it makes to its folder, one after the other, and started again each
// time on what that left: whatever was acknowledged is there.
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { compiledManager } from "./compiled.js";
import { TestManager } from "./harness.js";

let manager: TestManager;
let dieAt: string;
beforeAll(async () => {
  const main = await compiledManager();
  dieAt = join(dirname(dirname(main)), "test", "manager", "die-at.js");
  manager = await TestManager.start(main);
  const made = await manager.init();
  expect(isRefusal(made)).toBe(false);
  await manager.kill();
}, 60_000);
afterAll(() => manager?.close());

const acknowledged = new Set<string>(["ingress"]);

/** One life: what it is told to write, until it dies. Answers whether it lived through all of it. */
async function life(name: string, at: number, how: "before" | "half"): Promise<boolean> {
  const point = { FAIL_AT: `${join(manager.dir, "state")}|${at}|${how}` };
  if (!(await manager.trySpawn(["--import", dieAt], point))) return false;
  try {
    const { networks } = await manager.must(manager.control, manager.control.listNetworks, {});
    const there = new Set(networks.map(({ spec }) => spec?.name ?? ""));
    expect([...acknowledged].filter((each) => !there.has(each))).toEqual([]);
    if (!isRefusal(await manager.createNetwork(name))) acknowledged.add(name);
    await manager.must(manager.admin, manager.admin.setIdentity, manager.identity);
    // Every entry is followed by a snapshot from here on, and the log behind it goes.
    const cluster = await manager.must(manager.control, manager.control.getCluster, {});
    await manager.must(manager.control, manager.control.updateCluster, {
      spec: cluster.spec && { ...cluster.spec, snapshotInterval: 1 },
      version: cluster.meta?.version ?? 0,
      rotateWorkerToken: false,
      rotateManagerToken: true,
      rotateUnlockKey: false,
      dataPathPort: 0,
    });
    if (!isRefusal(await manager.createNetwork(`${name}b`))) acknowledged.add(`${name}b`);
    return !manager.exited;
  } catch (error) {
    if (!manager.exited) await manager.whenExited();
    if (error instanceof Error && error.name === "AssertionError") throw error;
    return false;
  }
}

test("at each change of log, snapshot, key and membership files nothing acknowledged is lost", async () => {
  let lives = 0;
  for (let at = 1; ; at++) {
    const how = at % 2 === 0 ? "half" : "before";
    const survived = await life(`n${at}`, at, how);
    await manager.kill();
    lives++;
    if (survived) break;
    expect(at).toBeLessThan(200);
  }
  // Fewer would mean that the changes are not seen any more.
  expect(lives).toBeGreaterThan(15);
  expect(await life("last", 0, "before")).toBe(true);
}, 240_000);
