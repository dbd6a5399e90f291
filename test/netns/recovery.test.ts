// The night that most managers are gone, and the one that the disk lied: what is left goes on with all that the
// swarm was, and what carries traffic does not notice.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab, until } from "./lab.js";
import { getJson } from "./local-api.js";
import { processesOf } from "./truth.js";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.up("recovery", 3);
  await lab.swarm("manager");
  await lab.overnet("h1", "h2");
  await lab.skein("h1", "node", "update", "--label-add", "rack=r1", "h2");
});
afterAll(() => lab?.down());

const manager = (host: string) => `${lab.folder(host)}/state/manager`;
const ids = async (kind: "node" | "network") =>
  (await lab.skein("h1", kind, "ls", "--format", "{{.ID}}")).split("\n").sort();
const membersOf = async (host: string) =>
  (await getJson<{ Members: readonly unknown[] }>(lab.socket(host), "/skein/v1/raft")).Members;

/** Agents and managers die at once, as when the power goes. */
async function die(...hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    await lab.must("kill", host, "agent");
    await lab.must("kill", host, "manager");
  }
}

async function answers(host: string): Promise<void> {
  await until(
    "its manager answers",
    async () => (await lab.on(host, "skein", "node", "ls")).code === 0,
  );
}

test("with two managers of three gone, the third goes on alone; they come back as its workers", async () => {
  const nodes = await ids("node");
  const networks = await ids("network");
  const early = await lab.on("h1", "skein", "swarm", "recover", "--yes");
  expect(early.stderr).toMatch(/has a quorum/);
  const ping = lab.start("h1", "ping", "-i", "0.1", "10.0.1.3");
  await die("h2", "h3");
  await until("it says in a sentence what is wrong", async () => {
    const status = await lab.on("h1", "skein", "swarm", "status");
    const alone =
      /^There is no leader: 2 of 3 managers must reach each other, and this one reaches none/;
    const who = /No answer from h\d \(connection refused\) and h\d \(connection refused\)\.\n/;
    return status.code === 1 && alone.test(status.stdout) && who.test(status.stdout);
  });
  const asked = await lab.on("h1", "skein", "swarm", "recover");
  expect(asked.stdout).toMatch(/192\.168\.33\.11:2377/);
  expect(asked.stderr).toMatch(/nothing was changed/);
  expect(await membersOf("h1")).toHaveLength(3);
  const done = await lab.skein("h1", "swarm", "init", "--force-new-cluster");
  expect(done).toMatch(/is now a manager/);
  await answers("h1");
  expect(await ids("node")).toEqual(nodes);
  expect(await ids("network")).toEqual(networks);
  expect(await lab.skein("h1", "node", "inspect", "h2", "--format", "{{.Spec.Labels.rack}}")).toBe(
    "r1",
  );
  await lab.skein("h1", "network", "create", "-d", "overlay", "after");
  // A majority of what the group was.
  await lab.must("start", "h2");
  await lab.must("start", "h3");
  await until(
    "they are workers",
    async () => {
      const listed = await lab.skein(
        "h1",
        "node",
        "ls",
        "--format",
        "{{.Status}} {{.ManagerStatus}}",
      );
      const processes = ["h2", "h3"].map((host) => processesOf(lab, host).daemons.length);
      const rows = listed.split("\n").map((row) => row.trim());
      return (
        rows.filter((row) => row === "Ready").length === 2 &&
        rows.includes("Ready Leader") &&
        processes.every((count) => count === 1)
      );
    },
    30_000,
  );
  expect(await membersOf("h1")).toHaveLength(1);
  expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
  // And a manager again, of the swarm that there is now.
  await lab.skein("h1", "node", "promote", "h2");
  await until(
    "h2 is a manager",
    async () => (await lab.on("h2", "skein", "node", "ls")).code === 0,
  );
});

test("a damaged log stops the manager, and is recovered up to the damage", async () => {
  await lab.skein("h1", "node", "demote", "h2");
  await until("h1 is alone", async () => (await membersOf("h1")).length === 1);
  const nodes = await ids("node");
  await die("h1");
  const folder = join(manager("h1"), "log");
  const file = join(folder, readdirSync(folder).sort()[0] ?? "");
  const bytes = readFileSync(file);
  const at = Math.floor(statSync(file).size / 2);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x40, at);
  writeFileSync(file, bytes);
  await lab.must("start", "h1");
  await until("it says so", async () => {
    const { stderr } = await lab.on("h1", "skein", "node", "ls");
    return /log is damaged at byte \d+.*skein swarm recover/.test(stderr);
  });
  expect((await lab.on("h1", "skein", "swarm", "status")).stdout).toMatch(/damaged/);
  const done = await lab.skein("h1", "swarm", "recover", "--yes");
  expect(done).toMatch(/Its log is damaged: .*\.log at byte \d+/);
  expect(done).toMatch(/goes on with this manager/);
  await answers("h1");
  expect(await ids("node")).toEqual(nodes);
  await until("everybody is ready", async () => {
    const states = await lab.skein("h1", "node", "ls", "--format", "{{.Status}}");
    return states.split("\n").every((state) => state === "Ready");
  });
});

test("a backup brings the swarm back on a machine that lost everything", async () => {
  const nodes = await ids("node");
  const networks = await ids("network");
  const file = `${lab.folder("h1")}/backup`;
  const key = await lab.skein("h1", "swarm", "backup", "--quiet", file);
  const withKey = (...words: readonly string[]) =>
    lab.on("h1", "sh", "-c", `echo ${key} | skein ${words.join(" ")}`);
  const elsewhere = await withKey("swarm", "restore", file);
  expect(elsewhere.stderr).toMatch(/part of the swarm that the backup is of.*nothing was changed/);
  await lab.skein("h1", "swarm", "leave", "--force");
  const cut = `${file}.cut`;
  writeFileSync(cut, readFileSync(file).subarray(0, 500));
  expect((await withKey("swarm", "restore", cut)).stderr).toMatch(/cut off: 500 of \d+ bytes/);
  const restored = await withKey("swarm", "restore", "--advertise-addr", "192.168.33.10", file);
  expect(restored.stdout).toMatch(/the node that it was, is its only manager/);
  await answers("h1");
  expect(await ids("node")).toEqual(nodes);
  expect(await ids("network")).toEqual(networks);
  await until("the workers are back", async () => {
    const states = await lab.skein("h1", "node", "ls", "--format", "{{.Status}}");
    return states.split("\n").every((state) => state === "Ready");
  });
});
