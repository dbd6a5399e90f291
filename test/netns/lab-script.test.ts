// scripts/lab itself: that nothing of a lab stays behind or leaks into another, and that it says what is wrong.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, run } from "./lab.js";

/** All that the machine shows of labs whose names begin with this one's. */
function traces(lab: Lab): readonly string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [
    ...(existsSync("/run/netns") ? readdirSync("/run/netns") : []).filter((name) =>
      name.startsWith(`skein-${lab.name}`),
    ),
    ...mounts.filter((line) => line.includes(`/run/skein-lab/${lab.name}`)),
    ...(existsSync("/run/skein-lab") ? readdirSync("/run/skein-lab") : []).filter((name) =>
      name.startsWith(lab.name),
    ),
  ];
}

describe("a lab", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.up("script", 2);
  });
  afterAll(async () => {
    await lab.down();
    expect(traces(lab)).toEqual([]);
  });

  test("is left alone when one goes whose name is the beginning of its own", async () => {
    const longer = await Lab.up("script-house", 1);
    await lab.down();
    expect((await longer.on("h1", "skein", "info")).code).toBe(0);
    await longer.down();
    expect(traces(lab)).toEqual([]);
    lab = await Lab.up("script", 2);
  });

  test("makes a namespace that goes with it", async () => {
    await lab.must("netns", "build");
    expect(traces(lab)).toContain(`skein-${lab.name}-build`);
    expect((await lab.lab("netns", "h1")).stderr).toContain("no host's");
  });

  test("passes a command's exit code on", async () => {
    expect((await lab.on("h1", "sh", "-c", "exit 7")).code).toBe(7);
  });

  test("carries frames as soon as heal returns", async () => {
    await lab.must("cut", "h2");
    const cut = await lab.on("h1", "ping", "-c", "1", "-W", "1", "192.168.33.11");
    expect(cut.code).not.toBe(0);
    await lab.must("heal");
    expect((await lab.on("h1", "ping", "-c", "1", "-W", "1", "192.168.33.11")).code).toBe(0);
  });

  test.each([
    [["up", "2"], /is up already; take it down first/],
    [["exec", "h9", "true"], /no host 'h9' in this lab \(there are: h1 h2 \)/],
    [["exec", "h1"], /exec needs a host and a command/],
    [["cut"], /cut which hosts\?/],
    [["kill", "h1"], /kill what\? agent or manager/],
    [["kill", "h1", "manager"], /no manager runs on h1/],
    [["start", "h1"], /the agent of h1 runs already/],
    [["up", "2", "--ipv8"], /up has no '--ipv8'/],
    [["weave"], /unknown command 'weave'/],
  ])("%j is refused with a sentence", async (args, words) => {
    const refused = await lab.lab(...args);
    expect(refused.stderr).toMatch(words);
    expect(refused.code).toBe(1);
  });
});

test("with --ipv6 its hosts have IPv6 alone, and start keeps each one's data path", async () => {
  const lab = await Lab.up("script-six", 2, [], { ipv6: true, paths: ["kernel", "userspace"] });
  expect(await lab.must("ls")).toMatch(/^h1 +fd00:33::10 .*\nh2 +fd00:33::11 /);
  expect((await lab.on("h1", "ping", "-c", "1", "-W", "1", "fd00:33::11")).code).toBe(0);
  expect(await lab.ok("h1", "ip", "-4", "-br", "addr", "show", "dev", "eth0")).toBe("");
  await lab.must("stop", "h2");
  await lab.must("start", "h2");
  const command = await lab.ok(
    "h2",
    "sh",
    "-c",
    "cat /proc/$(cat $0/agent.pid)/cmdline",
    lab.folder("h2"),
  );
  expect(command.split("\0")).toContain("userspace");
  await lab.down();
  expect(traces(lab)).toEqual([]);
});

describe("a lab that is not there", () => {
  test("is said, and may be taken down", async () => {
    const env = { SKEIN_LAB: `${process.env["SKEIN_TEST_PREFIX"] ?? ""}nowhere` };
    for (const args of [["ls"], ["logs"], ["heal"], ["exec", "h1", "true"]]) {
      const refused = await run("scripts/lab", args, { env });
      expect(refused.stderr).toContain("is not up (scripts/lab up)");
      expect(refused.code).toBe(1);
    }
    expect((await run("scripts/lab", ["down"], { env })).code).toBe(0);
  });

  test.each(["..", "a/b", "a b", "-x", "demo-h1"])("is not named %j", async (name) => {
    const refused = await run("scripts/lab", ["down"], { env: { SKEIN_LAB: name } });
    expect(refused.stderr).toContain("SKEIN_LAB must be");
    expect(refused.code).toBe(1);
  });
});

test("killed while it comes up, it is taken down without a trace", async () => {
  const lab = await Lab.up("script-killed", 1);
  await lab.down();
  const environment = { ...process.env, SKEIN_LAB: lab.name };
  const up = spawn("scripts/lab", ["up", "8"], { env: environment, stdio: "ignore" });
  const ended = new Promise((resolve) => up.once("exit", resolve));
  // In the middle: some hosts are there and some are not.
  while (!existsSync(lab.folder("h3"))) await new Promise((wake) => setTimeout(wake, 5));
  up.kill("SIGKILL");
  await ended;
  await lab.down();
  expect(traces(lab)).toEqual([]);
});
