// A service's tasks on two hosts: containers of containerd and processes, agents killed at any moment,
// a node that is cut off and comes back, logs, secrets.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { seededRandom } from "../../common/random.js";
import { Lab, until, WATCHED_BRIEFLY } from "./lab.js";

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up("tasks", 2);
  await lab.must("images", "alpine");
  await lab.swarm();
  await lab.docker("h1", "network", "create", "-d", "overlay", "overnet");
}, 120_000);
afterAll(() => lab.down());

const FORMAT = "{{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}";
const tasks = async (service: string, ...more: readonly string[]) =>
  (await lab.docker("h1", "service", "ps", "--format", FORMAT, ...more, service)).split("\n");
const runningTasks = async (service: string) =>
  (await tasks(service, "--filter", "desired-state=running")).filter((row) =>
    / Running Running /.test(row),
  );
const containers = async (host: string, ...more: readonly string[]) =>
  (await lab.docker(host, "ps", "-q", ...more)).split("\n").filter(Boolean);
const allContainers = async (...more: readonly string[]) => [
  ...(await containers("h1", ...more)),
  ...(await containers("h2", ...more)),
];

afterEach(async () => {
  const services = (await lab.docker("h1", "service", "ls", "-q")).split("\n").filter(Boolean);
  if (services.length > 0) await lab.docker("h1", "service", "rm", ...services);
  await until("no container is left", async () => (await allContainers("-a")).length === 0);
}, 30_000);

/** What tasks run: the first process of a container hears no SIGTERM, unless it asks for it. */
const SLEEP = ["--stop-grace-period", "1s", "alpine", "sleep", "1d"];

test("tasks of a service run on both hosts and reach each other", async () => {
  await lab.docker(
    ...["h1", "service", "create", "-q", "--name", "web", "--replicas", "4"],
    ...["--network", "overnet", "--env", "WHO={{.Node.Hostname}}-{{.Task.Slot}}"],
    ...[...WATCHED_BRIEFLY, ...SLEEP],
  );
  expect(await runningTasks("web")).toHaveLength(4);
  const [mine = "", ...others] = await containers("h1");
  expect(others).toHaveLength(1);
  const [theirs = ""] = await containers("h2");
  expect(await lab.docker("h1", "exec", mine, "sh", "-c", "echo $WHO")).toMatch(/^h1-[1-4]$/);
  const address = '{{(index .NetworkSettings.Networks "overnet").IPAddress}}';
  const there = await lab.docker("h2", "inspect", "--format", address, theirs);
  await lab.docker("h1", "exec", mine, "ping", "-c", "1", "-W", "5", there);
}, 60_000);

test("an end is seen at once, and replaced", async () => {
  await lab.docker(
    ...["h1", "service", "create", "-q", "--name", "web", "--restart-delay", "0s"],
    ...["--constraint", "node.hostname==h2", ...WATCHED_BRIEFLY, ...SLEEP],
  );
  const [first = ""] = await containers("h2");
  await lab.docker("h2", "kill", first);
  await until("another runs", async () => {
    const [next] = await containers("h2");
    return next !== undefined && next !== first;
  });
  const rows = await until("the history says why", async () => {
    const all = await tasks("web");
    return all.some((row) => row.includes("Failed")) && all;
  });
  expect(rows.join("\n")).toMatch(/Shutdown Failed .* "task: non-zero exit \(137\)"/);
}, 60_000);

test("secrets and configs are files of the task, and nowhere else", async () => {
  const put = (kind: string, name: string, text: string, ...more: readonly string[]) =>
    lab.ok(
      "h1",
      "sh",
      "-c",
      `printf '%s' "$1" | docker ${kind} create ${more.join(" ")} ${name} -`,
      "sh",
      text,
    );
  await put("secret", "pass", "correct horse battery");
  await put(
    "config",
    "conf",
    'user={{.Service.Name}} pass={{secret "pass"}}',
    "--template-driver",
    "golang",
  );
  await lab.docker(
    ...["h1", "service", "create", "-q", "--name", "sec", "--constraint", "node.hostname==h2"],
    ...["--secret", "pass", "--config", "source=conf,target=/etc/app.conf,mode=0440"],
    ...[...WATCHED_BRIEFLY, ...SLEEP],
  );
  const [id = ""] = await containers("h2");
  const look =
    "stat -c '%a %u %g' /run/secrets/pass /etc/app.conf; cat /run/secrets/pass /etc/app.conf";
  expect(await lab.docker("h2", "exec", id, "sh", "-c", look)).toBe(
    "444 0 0\n440 0 0\ncorrect horse batteryuser=sec pass=correct horse battery",
  );
  const found = await lab.on("h2", "grep", "-rla", "correct horse", `${lab.folder("h2")}/state`);
  expect(found.stdout).toBe("");
}, 60_000);

test("logs come from both hosts", async () => {
  await lab.docker(
    ...["h1", "service", "create", "-q", "--name", "chat", "--replicas", "2"],
    ...[
      ...WATCHED_BRIEFLY,
      "--stop-grace-period",
      "1s",
      "alpine",
      "sh",
      "-c",
      "echo hello; echo oops >&2; exec sleep 1d",
    ],
  );
  const both = await until("both have said it", async () => {
    const { stdout, stderr } = await lab.on("h1", "docker", "service", "logs", "chat");
    return stdout.split("hello").length === 3 && stderr.split("oops").length === 3 && stdout;
  });
  expect(both).toMatch(/chat\.\d\.\w+@h1 +\| hello/);
  expect(both).toMatch(/chat\.\d\.\w+@h2 +\| hello/);
  const reader = lab.start("h1", "docker", "service", "logs", "-f", "--tail", "0", "chat");
  await lab.docker("h1", "service", "scale", "-d", "chat=3");
  await until("the third is heard by who follows", () => reader.output().includes("hello"));
  await reader.stop();
}, 60_000);

test("agents are killed at any moment, and the tasks are what was asked for", async () => {
  const random = seededRandom(7);
  await lab.docker(
    ...["h1", "service", "create", "-d", "-q", "--name", "web", "--restart-delay", "0s"],
    ...["--network", "overnet", ...SLEEP],
  );
  for (const replicas of [6, 2, 8, 3]) {
    await lab.docker("h1", "service", "scale", "-d", `web=${replicas}`);
    await new Promise((wake) => setTimeout(wake, random.below(900)));
    await lab.must("kill", "h2", "agent");
    await lab.must("start", "h2");
    await until(
      `${replicas} run`,
      async () => (await runningTasks("web")).length === replicas,
      60_000,
    );
    await until(
      "there are as many containers",
      async () => (await allContainers()).length === replicas,
      60_000,
    );
  }
}, 180_000);

test("a node that is cut off loses its tasks, keeps them running, and gives them up when it is back", async () => {
  await lab.docker(
    ...["h1", "service", "create", "-q", "--name", "web", "--replicas", "4"],
    ...[...WATCHED_BRIEFLY, ...SLEEP],
  );
  const before = await containers("h2");
  expect(before).toHaveLength(2);
  await lab.must("cut", "h2");
  await until("h1 runs all four", async () => (await containers("h1")).length === 4, 60_000);
  expect(await containers("h2")).toEqual(before);
  // Also an agent that begins without any manager goes on with them.
  await lab.must("kill", "h2", "agent");
  await lab.must("start", "h2");
  expect((await containers("h2")).sort()).toEqual([...before].sort());
  await lab.must("heal");
  await until(
    "h2 has stopped its old ones",
    async () => (await containers("h2")).length === 0,
    60_000,
  );
  expect(await containers("h1")).toHaveLength(4);
}, 180_000);

test("processes are tasks too, and a node that leaves takes them with it", async () => {
  await lab.skein(
    ...(["h1", "service", "create", "-q", "--runtime", "process", "--name", "proc"] as const),
    ...["--mode", "global", ...WATCHED_BRIEFLY, "sleep", "86399"],
  );
  await until("one on each", async () => (await runningTasks("proc")).length === 2);
  await lab.docker("h2", "swarm", "leave");
  expect(await containers("h2", "-a")).toEqual([]);
  await lab.docker("h1", "service", "rm", "proc");
  await until("h1 has none", async () => (await containers("h1", "-a")).length === 0);
}, 60_000);
