// The data path goes elsewhere while frames flow: to another port of UDP (`skein swarm update --data-path-port`), and
// to another address of a node.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab, until } from "./lab.js";

let lab: Lab;
const HOSTS = ["h1", "h2", "h3"];

beforeAll(async () => {
  lab = await Lab.up("move", 3);
  await lab.swarm();
  await lab.overnet("h1", "h2");
  await lab.skein("h3", "attach", "--network", "overnet");
});
afterAll(() => lab?.down());

async function port(): Promise<string> {
  return lab.docker("h1", "info", "--format", "{{.Swarm.Cluster.DataPathPort}}");
}
/** Name and UDP port of each VXLAN device of the network. */
async function devices(host: string): Promise<string[]> {
  const netns = `--net=${lab.folder(host)}/run/netns/net-4097`;
  const links = JSON.parse(
    await lab.ok(host, "nsenter", netns, "ip", "-j", "-d", "link", "show", "type", "vxlan"),
  ) as { ifname: string; linkinfo: { info_data: { port: number } } }[];
  return links.map(({ ifname, linkinfo }) => `${ifname} ${linkinfo.info_data.port}`);
}

test("no frame is lost, and nothing is left of the old port", async () => {
  const pings = [
    lab.start("h1", "ping", "-i", "0.02", "10.0.1.3"),
    lab.start("h3", "ping", "-i", "0.02", "10.0.1.2"),
  ];
  await until("pings come back", () => pings.every((ping) => ping.output().split("\n").length > 5));
  for (const next of ["5789", "4789"]) {
    expect(await lab.skein("h1", "swarm", "update", "--data-path-port", next)).toBe(
      "Swarm updated.",
    );
    expect(await port()).toBe(next);
    for (const host of HOSTS) {
      await until("one device is left", async () => {
        return (await devices(host)).join() === `vxlan0 ${next}`;
      });
    }
  }
  for (const ping of pings) expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
});

test("a port that one node cannot have is given up, by name, and frames go on", async () => {
  // A socket with the port, of a program that nobody here knows.
  const holder = lab.start(
    "h2",
    "node",
    "-e",
    'require("dgram").createSocket("udp4").bind(6000, () => console.log("bound"))',
  );
  await until("the port is taken", () => holder.output().includes("bound"));
  const refused = await lab.on("h1", "skein", "swarm", "update", "--data-path-port", "6000");
  expect(refused.stderr).toMatch(/stays 4789: h2 does not take frames on UDP 6000: UDP port 6000/);
  expect(refused.code).toBe(1);
  await holder.stop();
  expect(await port()).toBe("4789");
  expect((await lab.on("h1", "ping", "-c1", "-W2", "10.0.1.3")).code).toBe(0);
});

test("an agent that is away meanwhile goes on where it left off", async () => {
  await lab.must("kill", "h2", "agent");
  const moved = lab.start("h1", "skein", "swarm", "update", "--data-path-port", "7000");
  await until("the move has begun", async () => (await devices("h1")).length === 2);
  await lab.must("start", "h2");
  await until("the move is over", () => moved.output().includes("Swarm updated."));
  for (const host of HOSTS) {
    await until("one device is left", async () => (await devices(host)).join() === "vxlan0 7000");
  }
  expect((await lab.on("h1", "ping", "-c1", "-W2", "10.0.1.3")).code).toBe(0);
  // Without a manager too, the next agent knows the port.
  await lab.must("cut", "h1");
  await lab.must("kill", "h3", "agent");
  await lab.must("start", "h3");
  await until("h3 has its own endpoint again", async () => {
    return (await lab.on("h3", "ping", "-c1", "-W1", "10.0.1.3")).code === 0;
  });
  expect(await devices("h3")).toEqual(["vxlan0 7000"]);
});

test("a worker whose address has changed is reached again by itself, and is shown with it", async () => {
  await lab.must("heal");
  const reaches = async () => (await lab.on("h1", "ping", "-c1", "-W1", "10.0.1.3")).code === 0;
  await until("h2 is reached", reaches);
  const node = (field: string) => lab.docker("h1", "node", "inspect", "h2", "--format", field);
  for (const [from, to] of [
    ["11", "77"],
    ["77", "11"],
  ]) {
    await lab.ok("h2", "ip", "addr", "del", `192.168.33.${from}/24`, "dev", "eth0");
    await lab.ok("h2", "ip", "addr", "add", `192.168.33.${to}/24`, "dev", "eth0");
    await until("h2 is reached at its new address", reaches, 30_000);
    await until("it is shown", async () => (await node("{{.Status.Addr}}")) === `192.168.33.${to}`);
    expect(await node("{{.Status.State}}")).toBe("ready");
  }
});
