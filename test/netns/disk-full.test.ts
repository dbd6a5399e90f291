// A disk that is really full: a small file system below a manager's folder, and below an agent's.
import { afterEach, expect, test } from "vitest";
import { Lab, until } from "./lab.js";
import { callApi, getJson } from "./local-api.js";
import { differences, networksOf, unreachablePairs } from "./truth.js";

let lab: Lab;
afterEach(() => lab?.down());

const sh = (host: string, script: string) => lab.ok(host, "sh", "-c", script);
const managerFolder = (host: string) => `${lab.folder(host)}/state/manager`;

/** Before the host has a manager. */
async function smallDisk(host: string, sizeMib: number): Promise<void> {
  const folder = managerFolder(host);
  await sh(
    host,
    `mkdir -p ${folder} && mount -t tmpfs -o size=${sizeMib}m,mode=700,uid=$(id -u nobody) tmpfs ${folder}`,
  );
}

/** To the last page. */
async function fill(folder: string): Promise<void> {
  await sh("h1", `cat /dev/zero >${folder}/filler 2>/dev/null; test -s ${folder}/filler`);
}
const free = (folder: string) => sh("h1", `rm ${folder}/filler`);

const create = (host: string, name: string) => {
  const body = {
    Name: name,
    Driver: "overlay",
    Attachable: true,
    Labels: { x: "x".repeat(3_000) },
  };
  return callApi(lab.socket(host), "POST", "/networks/create", body);
};

/** Creates until one is refused; the names that were not. */
async function createUntilRefused(host: string) {
  const made: string[] = [];
  for (let i = 0; i < 100; i++) {
    const name = `${host}-${i}`;
    const { status, body } = await create(host, name);
    if (status !== 201) return { made, status, body };
    made.push(name);
  }
  throw new Error("the disk was never full");
}

async function namesBy(host: string): Promise<readonly string[]> {
  return (await networksOf(lab, host)).map(({ name }) => name).sort();
}

test("of the only manager: writes are refused by name, reads and traffic go on, and it recovers", async () => {
  lab = await Lab.up("disk", 2);
  await smallDisk("h1", 3);
  await lab.swarm("worker");
  await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "overnet");
  await lab.skein("h1", "attach", "--network", "overnet");
  await lab.skein("h2", "attach", "--network", "overnet");
  const ping = lab.start("h1", "ping", "-i", "0.1", "10.0.1.3");
  await until("pings come back", () => ping.output().split("\n").length > 5);
  await fill(managerFolder("h1"));
  const { made, body } = await createUntilRefused("h1");
  expect(body).toMatch(/disk.*full/);
  expect(body).toContain("state/manager");
  const attach = await lab.on("h2", "skein", "run", "--rm", "--network", "overnet", "--", "true");
  expect(attach.stderr).toMatch(/disk.*full/);
  expect(await namesBy("h1")).toEqual(["overnet", ...made].sort());
  expect(await lab.skein("h1", "node", "ls", "--format", "{{.Status}}")).toBe("Ready\nReady");
  await free(managerFolder("h1"));
  await until("a write is taken", async () => (await create("h1", "after")).status === 201, 5_000);
  expect(await namesBy("h1")).toEqual(["overnet", "after", ...made].sort());
  await lab.must("kill", "h1", "manager");
  await until("it is back with all", async () => {
    expect(await namesBy("h1")).toEqual(["overnet", "after", ...made].sort());
    return true;
  });
  expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
  // The folder is a mount of its own: leaving empties it.
  await lab.skein("h1", "swarm", "leave", "--force");
  expect(await sh("h1", `ls ${managerFolder("h1")}`)).toBe("");
});

test("of one of three, leading or not: the swarm goes on writing, and the full one catches up", async () => {
  lab = await Lab.up("disk", 3);
  for (const { name } of lab.hosts) await smallDisk(name, 3);
  await lab.swarm("manager");
  const leaderHost = async () => {
    const format = "{{.Hostname}} {{.ManagerStatus}}";
    const nodes = await lab.on("h1", "skein", "node", "ls", "--format", format);
    return /^(\S+) Leader$/m.exec(nodes.stdout)?.[1] ?? "";
  };
  const made: string[] = [];
  for (const which of ["follower", "leader"] as const) {
    const leader = await until("there is a leader", leaderHost);
    const follower = lab.hosts.find(({ name }) => name !== leader)?.name ?? "";
    const full = which === "leader" ? leader : follower;
    await fill(managerFolder(full));
    for (let i = 0; i < 10; i++) {
      const name = `${which}-${i}`;
      await until(
        `${name} is made`,
        async () => [201, 409].includes((await create(follower, name)).status),
        8_000,
      );
      made.push(name);
    }
    await free(managerFolder(full));
    await until("the full one has caught up", async () => {
      expect(await namesBy(full)).toEqual([...made].sort());
      const raft = await getJson<{ Applied: number }>(lab.socket(full), "/skein/v1/raft");
      const other = await getJson<{ Applied: number }>(lab.socket(follower), "/skein/v1/raft");
      return raft.Applied >= other.Applied;
    });
  }
});

test("of an agent: what is new is refused, what runs goes on, and it recovers", async () => {
  lab = await Lab.up("disk", 2);
  const state = `${lab.folder("h2")}/state`;
  await lab.must("stop", "h2");
  await sh("h2", `mount -t tmpfs -o size=2m,mode=711 tmpfs ${state}`);
  await lab.must("start", "h2");
  await lab.swarm("worker");
  await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "overnet");
  await lab.skein("h1", "attach", "--network", "overnet");
  const box = (name: string) => [
    "run",
    "-d",
    "--name",
    name,
    "--network",
    "overnet",
    "--",
    "sleep",
    "infinity",
  ];
  await lab.skein("h2", ...box("steady"));
  await lab.skein("h2", ...box("old"));
  await lab.skein("h2", "attach", "--network", "overnet", "--name", "old-attachment");
  const ping = lab.start("h1", "ping", "-i", "0.1", "10.0.1.3");
  await until("pings come back", () => ping.output().split("\n").length > 5);
  await fill(state);
  for (const command of [["attach", "--network", "overnet", "--name", "new"], box("new")]) {
    const refused = await lab.on("h2", "skein", ...command);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/no space left on the disk/);
    expect(refused.stderr).toContain(state);
  }
  // What frees space, or an address, must work on a full disk.
  await lab.skein("h2", "rm", "-f", "old");
  await lab.skein("h2", "detach", "old-attachment");
  expect(await lab.skein("h2", "ps", "--format", "{{.Names}}")).toBe("steady");
  const settled = async () => {
    const found = [...(await differences(lab, "h1")), ...(await unreachablePairs(lab, "h1"))];
    if (found.length > 0) throw new Error(found.join("\n"));
    return true;
  };
  await until("it is as the swarm says", settled);
  await sh("h2", `rm ${state}/filler`);
  // What was detached meanwhile is written at the next look, within a second; an agent killed before it would bring it back.
  await until(
    "the disk has heard what was detached",
    async () => (await lab.on("h2", "grep", "-rq", "old-attachment", state)).code === 1,
    5_000,
  );
  await lab.skein("h2", ...box("new"));
  await lab.must("kill", "h2", "agent");
  await lab.must("start", "h2");
  await until("it is as the swarm says after a restart", settled);
  expect((await lab.skein("h2", "ps", "--format", "{{.Names}}")).split("\n").sort()).toEqual([
    "new",
    "steady",
  ]);
  expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
});
