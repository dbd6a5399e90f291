// The address of a manager and of a worker becomes another while they ping each other.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab, until } from "./lab.js";
import { getJson } from "./local-api.js";

interface Raft {
  readonly Members: readonly { NodeID: string; Addr: string }[];
}

const NODE_ADDRESS = "{{.Status.Addr}}";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.up("addresses", 3);
  await lab.skein("h1", "swarm", "init", "--advertise-addr", "192.168.33.10");
  for (const [host, role] of [
    ["h2", "manager"],
    ["h3", "worker"],
  ] as const) {
    const token = await lab.token("h1", role);
    await lab.skein(host, "swarm", "join", "--token", token, "192.168.33.10:2377");
  }
  await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "overnet");
  for (const host of ["h2", "h3"])
    await lab.skein(host, "attach", "--network", "overnet", "--name", `e-${host}`);
});
afterAll(() => lab?.down());

/** The interface, and the whole of its address. */
async function wireOf(host: string): Promise<readonly [string, string]> {
  const shown = await lab.ok(host, "ip", "-o", "-4", "addr", "show", "to", "192.168.33.0/24");
  const [, device = "", address = ""] = /^\d+:\s+(\S+)\s+inet (\S+)/.exec(shown) ?? [];
  return [device, address];
}

async function move(host: string, address: string): Promise<void> {
  const [device, had] = await wireOf(host);
  // The kernel takes others of its subnet away with the first.
  await lab.ok(host, "ip", "addr", "del", had, "dev", device);
  await lab.ok(host, "ip", "addr", "add", `${address}/24`, "dev", device);
}

const pings = async (from: string, to: string) =>
  (await lab.on(from, "ping", "-c", "1", "-W", "1", to)).code === 0;

test("a manager and a worker that have other addresses are reached again by themselves", async () => {
  const ends = await getJson<readonly { IPv4Address: string }[]>(
    lab.socket("h1"),
    "/skein/v1/endpoints?network=overnet",
  );
  const addresses = ends.map(({ IPv4Address }) => IPv4Address.split("/")[0] ?? "");
  const both = async () =>
    (await Promise.all(addresses.flatMap((to) => [pings("h2", to), pings("h3", to)]))).every(
      Boolean,
    );
  expect(addresses).toHaveLength(2);
  await until("they reach each other", both);
  await move("h2", "192.168.33.52");
  await move("h3", "192.168.33.53");
  await until("they reach each other again", both, 40_000);
  const members = async () =>
    (await getJson<Raft>(lab.socket("h1"), "/skein/v1/raft")).Members.map(({ Addr }) => Addr);
  await until("the managers know", async () => {
    const now = await members();
    if (!now.includes("192.168.33.52:2377")) throw new Error(now.join(" "));
    return true;
  });
  // An agent's address is the one from which its newest session comes: it follows by itself too.
  await until("the nodes are shown where they are", async () => {
    const shown = await lab.skein("h1", "node", "inspect", "h2", "h3", "--format", NODE_ADDRESS);
    if (shown.split("\n").sort().join(" ") === "192.168.33.52 192.168.33.53") return true;
    throw new Error(shown);
  });
  // By a person's word it is the same, and asked of a manager that leads it is everybody's.
  expect(await lab.skein("h1", "node", "set-addr", "h2", "192.168.33.52")).toBe(
    "Node h2 is reached at 192.168.33.52:2377.",
  );
});
