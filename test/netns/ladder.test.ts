// Which data path a node takes when nobody asks for one, how it goes from one to another, and what it says where it
// cannot have the fastest.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab, run, until } from "./lab.js";
import { callApi } from "./local-api.js";

const WEB = "10.0.1.3";
let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up("ladder", 2);
  await lab.swarm();
  await lab.overnet("h1", "h2");
});
afterAll(() => lab?.down());

/** As doctor has it, which a node alone can answer, too. */
async function pathOf(host: string): Promise<{ Wish: string; Path: string; Why: string[] }> {
  const page = JSON.parse((await lab.on(host, "skein", "doctor", "--json")).stdout);
  return page.Nodes.find(({ Hostname }: { Hostname: string }) => Hostname === host).DataPath;
}

/** Frames of the network that the programs of `host` have carried. */
async function carried(host: string): Promise<number> {
  const { body } = await callApi(lab.socket(host), "GET", "/skein/v1/metrics");
  const lines = body.split("\n").filter((line) => /^skein_accelerated_frames_total\{/.test(line));
  return lines
    .filter((line) => line.includes('way="carried"') && line.includes('vni="4097"'))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

const answers = async () => (await lab.on("h1", "ping", "-c1", "-W1", WEB)).code === 0;

test("the accelerated one, where it works: it carries the frames, and the node says so", async () => {
  for (const host of ["h1", "h2"])
    expect(await pathOf(host)).toEqual({ Wish: "auto", Path: "accelerated", Why: [] });
  const shown = await lab.skein("h1", "node", "inspect", "h2", "--format", "json");
  expect(JSON.parse(shown)[0].Description.DataPath).toMatchObject({ Path: "accelerated" });
  for (const host of ["h1", "h2"]) {
    const before = await carried(host);
    await until(`${host} carries`, async () => (await answers()) && (await carried(host)) > before);
  }
});

test("a node that takes another path at its next start loses no frame on the way there and back", async () => {
  const pings = lab.start("h1", "ping", "-i", "0.02", WEB);
  await until("pings come back", () => pings.output().split("\n").length > 5);
  for (const path of ["kernel", "accelerated", "kernel", ""]) {
    for (const host of ["h1", "h2"]) {
      await lab.restart(host, path);
      const want = path || "accelerated";
      await until(`${host} is on ${want}`, async () => (await pathOf(host)).Path === want);
      const isCarrying = async (): Promise<boolean> => {
        const before = await carried(host);
        return (await answers()) && (await carried(host)) > before;
      };
      await until("it does so", async () => (await isCarrying()) === (want === "accelerated"));
    }
  }
  expect(await pings.stop("SIGINT")).toMatch(/ 0% packet loss/);
});

test("where its programs are missing, the kernel's, and every way of asking says why", async () => {
  const app = `/run/skein-lab/${lab.name}/app`;
  const programs = `${app}/dist/agent/kernel/bpf`;
  // As in a build without clang. Private, or the checkout itself would lose them.
  await run("mount", ["--make-private", app]);
  await run("mount", ["-t", "tmpfs", "none", programs]);
  try {
    await lab.restart("h2", "");
    const why = [expect.stringMatching(/not in this build: no clang/)];
    await until("it is on the kernel path", async () => (await pathOf("h2")).Path === "kernel");
    // It is a worker, and knows of itself without anybody.
    expect(await pathOf("h2")).toEqual({ Wish: "auto", Path: "kernel", Why: why });
    expect((await lab.on("h1", "skein", "doctor")).stdout).toMatch(
      /h2: data path kernel, --datapath auto\n {2}The accelerated data path is not in this build/,
    );
    await until("the swarm has heard of it", async () => {
      const shown = await lab.skein("h1", "node", "inspect", "h2", "--format", "json");
      return JSON.parse(shown)[0].Description.DataPath?.Path === "kernel";
    });
    await until("frames arrive", answers);
  } finally {
    await run("umount", [programs]);
  }
  await lab.restart("h2", "");
  await until("it is back", async () => (await pathOf("h2")).Path === "accelerated");
});

test("what the machine's own IPsec is to protect is the kernel's alone, both ways", async () => {
  const [h1 = "", h2 = ""] = lab.hosts.map((host) => host.address);
  const doctor = async () => (await lab.on("h1", "skein", "doctor")).stdout;
  // With nothing to protect it with, the kernel sends nothing, and takes nothing that comes in clear.
  for (const [direction, from, to] of [
    ["out", h1, h2],
    ["in", h2, h1],
  ] as const) {
    const policy = ["src", from, "dst", to, "proto", "udp", "dir", direction];
    const how = ["tmpl", "proto", "esp", "mode", "transport"];
    await lab.ok("h1", "ip", "xfrm", "policy", "add", ...policy, ...how);
    await until("nothing passes in clear", async () => {
      const before = await carried("h1");
      return !(await answers()) && (await carried("h1")) === before;
    });
    await until("it is said", async () => /under an IPsec policy of the mach/.test(await doctor()));
    await lab.ok("h1", "ip", "xfrm", "policy", "delete", ...policy);
    await until("the programs carry again", async () => {
      const before = await carried("h1");
      return (await answers()) && (await carried("h1")) > before;
    });
  }
});
