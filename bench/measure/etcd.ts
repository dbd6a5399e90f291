// etcd (Debian's etcd-server) as a group on this machine, to be measured beside: a process each, TLS between them,
// its own defaults otherwise.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freeAddr } from "../../test/fakes/free-port.js";
import { KvClient } from "./kv.js";

export interface Etcd {
  /** Where clients ask: the leader first. */
  readonly clients: readonly string[];
  close(): Promise<void>;
}

const PATIENCE_MS = 30_000;

export async function startEtcd(program: string, folder: string, size: number): Promise<Etcd> {
  const members: { name: string; peer: string; client: string }[] = [];
  for (let i = 1; i <= size; i++) {
    members.push({ name: `etcd${i}`, peer: await freeAddr(), client: await freeAddr() });
  }
  const cluster = members.map(({ name, peer }) => `${name}=https://${peer}`).join();
  const children: ChildProcess[] = [];
  const close = async () => {
    for (const child of children) {
      if (child.exitCode !== null) continue;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
  };
  await mkdir(folder, { recursive: true });
  for (const { name, peer, client } of members) {
    const flags = {
      name,
      "data-dir": join(folder, name),
      "listen-peer-urls": `https://${peer}`,
      "initial-advertise-peer-urls": `https://${peer}`,
      "listen-client-urls": `http://${client}`,
      "advertise-client-urls": `http://${client}`,
      "initial-cluster": cluster,
      "initial-cluster-state": "new",
      "log-level": "fatal",
    };
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    children.push(
      spawn(program, [...args, "--peer-auto-tls", "--logger=zap"], { stdio: "ignore" }),
    );
  }
  try {
    const leader = await leaderOf(members.map(({ client }) => client));
    const others = members.map(({ client }) => client).filter((client) => client !== leader);
    return { clients: [leader, ...others], close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function leaderOf(clients: readonly string[]): Promise<string> {
  const endMs = performance.now() + PATIENCE_MS;
  while (performance.now() < endMs) {
    for (const client of clients) {
      const asked = new KvClient(client);
      const leads = await asked.leads().catch(() => false);
      asked.close();
      if (leads) return client;
    }
    await sleep(100);
  }
  throw new Error("etcd elected no leader");
}
