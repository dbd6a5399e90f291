// What a person at a terminal gets, and what a script does: sizes, exit codes, pipes that close, and a
// manager that is not there for a moment.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, type Result, until } from "./lab.js";

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up("terminal", 3);
  await lab.swarm("worker");
  await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "base");
  await lab.skein("h1", "run", "-d", "--name", "web", "--network", "base", "--", "sleep", "1000");
});
afterAll(async () => {
  await lab?.down();
});

const shell = (command: string): Promise<Result> => lab.on("h1", "sh", "-c", command);

/** The command with a terminal of 30 rows and 40 columns, whose input does not end: its end would be typed as well. */
const inTerminal = (command: string): Promise<Result> =>
  shell(
    `f=$(mktemp -u); mkfifo $f; script -qec "stty rows 30 cols 40; ${command}" /dev/null <>$f; rm $f`,
  );

describe("a terminal has its size before the command looks", () => {
  for (const command of [
    "skein run -it --rm --network base -- stty size",
    "docker run -it --rm --network base process stty size",
    "skein exec -it web stty size",
    "docker exec -it web stty size",
  ]) {
    test(command, async () => {
      expect((await inTerminal(command)).stdout).toContain("30 40");
    });
  }
});

test("a terminal shows lines as the command's own terminal has made them", async () => {
  for (const program of ["skein", "docker"]) {
    const { stdout } = await inTerminal(`${program} exec -it web printf 'a\\nb\\n'; echo after`);
    expect(stdout).toBe("a\r\nb\r\nafter\r\n");
  }
});

describe("exit codes are the command's", () => {
  const cases = [
    ["skein exec web sh -c 'exit 4'", 4],
    ["skein exec web nosuch", 127],
    ["docker exec web nosuch", 127],
    ["docker exec -d web nosuch", 1],
    ["skein exec web /etc/passwd", 126],
    ["skein run --rm --network base -- sh -c 'exit 3'", 3],
    ["skein run --rm --network base -- nosuch", 127],
    ["echo 'exit 5' | skein run -i --rm --network base -- sh", 5],
  ] as const;
  for (const [command, code] of cases) {
    test(command, async () => expect((await shell(command)).code).toBe(code));
  }
  test("why a command cannot be run is said", async () => {
    const { stdout } = await shell("docker exec web nosuch");
    expect(stdout).toContain('exec: "nosuch": executable file not found in $PATH');
  });
});

test("a pipe that closes ends a command quietly", async () => {
  await shell("skein run -d --name talk --network base -- sh -c 'while :; do echo tick; done'");
  const { stdout, stderr } = await shell("skein logs -f talk | head -2; skein rm -f talk");
  expect(stdout).toBe("tick\ntick\ntalk\n");
  expect(stderr).toBe("");
});

test("an interface is up when attach has answered", async () => {
  const { stdout } = await lab.on(
    "h2",
    "sh",
    "-c",
    "skein attach --network base >/dev/null; ip -brief link show sk-base; skein detach base",
  );
  expect(stdout).toMatch(/^sk-base@\S+ +UP /);
});

describe("while a killed manager comes back", () => {
  for (const command of [
    "skein node ls",
    "skein network create -d overlay n1",
    "skein swarm status",
  ]) {
    test(`${command} waits for it`, async () => {
      await lab.must("kill", "h1", "manager");
      const { code, stderr } = await shell(command);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    });
  }
});

test("a worker that hears no manager says so in its info", async () => {
  await lab.must("cut", "h2");
  try {
    const error = () => lab.skein("h2", "info", "--format", "{{.Swarm.Error}}");
    await until("it has noticed", async () => (await error()) !== "");
    expect(await error()).toMatch(/^No manager of the swarm answers this node: /);
    expect(await error()).not.toMatch(/[A-Z]+_[A-Z]+/);
  } finally {
    await lab.must("heal");
  }
  await until("it is well again", async () => {
    return (await lab.skein("h2", "info", "--format", "{{.Swarm.Error}}")) === "";
  });
});

test("an agent that has just started answers for its manager", async () => {
  await lab.must("kill", "h1", "agent");
  await lab.must("kill", "h1", "manager");
  await lab.must("start", "h1");
  const { code, stderr } = await shell("skein node ls");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test("without a leader each command says so, and what worked goes on", async () => {
  await lab.skein("h1", "node", "promote", "h2", "h3");
  await until("three managers are there", async () => {
    const seats = await lab.skein("h1", "node", "ls", "--format", "{{.ManagerStatus}}");
    return /^(Leader|Reachable)(\n(Leader|Reachable)){2}$/.test(seats);
  });
  await lab.must("cut", "h2", "h3");
  try {
    for (const command of [
      "skein attach --network base",
      "docker run --rm --network base process true",
    ]) {
      const { code, stderr } = await shell(command);
      expect(code).not.toBe(0);
      expect(stderr).toContain("Could not attach to network base: ");
      expect(stderr).toMatch(/does not have a leader|No manager of the swarm answers/);
      expect(stderr).not.toMatch(/[A-Z]+_[A-Z]+/);
    }
    const { stderr } = await shell("skein swarm leave");
    expect(stderr).toContain("fewer than half of its 3 managers");
    expect((await shell("docker info --format '{{.Swarm.Error}}'")).stdout).toContain("leader");
    expect(await lab.skein("h1", "exec", "web", "echo", "alive")).toBe("alive");
  } finally {
    await lab.must("heal");
  }
});
