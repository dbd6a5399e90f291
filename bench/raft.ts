// The replicated log: durable writes and linearizable reads a second on 1, 3 and 5 managers, each a process with a
// real log on a real disk and mutual TLS to the others; against what the disk itself does in the same run, and, where
// it can be had, beside etcd, asked by the same client.
//
//   sudo scripts/bench raft [--folder=DIR] [--ms=3000] [--managers=1,3,5]
//
// SKEIN_ETCD names etcd's program; without it there is nothing beside. Three to four minutes.

import { constants } from "node:fs";
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startEtcd } from "./measure/etcd.js";
import { KvClient } from "./measure/kv.js";
import { type Load, load } from "./measure/load.js";
import { startGroup } from "./measure/raft-group.js";

const VALUE_BYTES = 512;
const IN_FLIGHT = [1, 64, 1_000];
const READS_IN_FLIGHT = [1, 64];

const { values } = parseArgs({
  options: {
    folder: { type: "string", default: tmpdir() },
    ms: { type: "string", default: "3000" },
    managers: { type: "string", default: "1,3,5" },
  },
});
const runMs = Number(values.ms);
const program = process.env["SKEIN_ETCD"];

/**
 * One write after the other, each durable when it returns: what no log can be faster than. Of `files` logs: to all at once,
 * which is what a group on one disk asks of it.
 */
async function disk(folder: string, files = 1): Promise<Load> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_DSYNC;
  const names = Array.from({ length: files }, (_, i) => join(folder, `disk${i}`));
  const logs = await Promise.all(names.map((name) => open(name, flags)));
  const data = Buffer.alloc(VALUE_BYTES, 1);
  try {
    return await load(1, runMs, () => Promise.all(logs.map((log) => log.write(data))));
  } finally {
    for (const log of logs) await log.close();
  }
}

async function asClient(addr: string, what: "put" | "get", inFlight: number): Promise<Load> {
  const client = new KvClient(addr);
  try {
    return await load(inFlight, runMs, () => client[what]());
  } finally {
    client.close();
  }
}

function row(what: string, managers: number | string, inFlight: number, figures: Load): void {
  const { perSecond, p50Ms, p99Ms } = figures;
  const cells = [Math.round(perSecond), p50Ms.toFixed(2), p99Ms.toFixed(2)];
  console.log(`| ${what} | ${managers} | ${inFlight} | ${cells.join(" | ")} |`);
}

async function skein(folder: string, size: number): Promise<void> {
  const group = await startGroup(folder, size);
  try {
    const [leader = "", follower] = group.clients;
    for (const inFlight of IN_FLIGHT) {
      row("write, in the leader", size, inFlight, await group.load("propose", inFlight, runMs));
    }
    for (const inFlight of IN_FLIGHT) {
      row("write, by a client", size, inFlight, await asClient(leader, "put", inFlight));
    }
    for (const inFlight of READS_IN_FLIGHT) {
      row("read, in the leader", size, inFlight, await group.load("read", inFlight, runMs));
      row("read, by a client", size, inFlight, await asClient(leader, "get", inFlight));
      if (follower === undefined) continue;
      row(
        "read, by a client of a follower",
        size,
        inFlight,
        await asClient(follower, "get", inFlight),
      );
    }
  } finally {
    await group.close();
  }
}

async function etcd(folder: string, size: number, path: string): Promise<void> {
  const group = await startEtcd(path, folder, size);
  try {
    const [leader = "", follower] = group.clients;
    for (const inFlight of IN_FLIGHT) {
      row("etcd: write, by a client", size, inFlight, await asClient(leader, "put", inFlight));
    }
    for (const inFlight of READS_IN_FLIGHT) {
      row("etcd: read, by a client", size, inFlight, await asClient(leader, "get", inFlight));
      if (follower === undefined) continue;
      const figures = await asClient(follower, "get", inFlight);
      row("etcd: read, by a client of a follower", size, inFlight, figures);
    }
  } finally {
    await group.close();
  }
}

await mkdir(values.folder, { recursive: true });
const folder = await mkdtemp(join(values.folder, "skein-bench-raft-"));
try {
  console.log(`| ${VALUE_BYTES} bytes each | managers | in flight | a second | p50 ms | p99 ms |`);
  console.log("|---|---:|---:|---:|---:|---:|");
  row("the disk alone (write, O_DSYNC)", "-", 1, await disk(folder));
  for (const size of values.managers.split(",").map(Number)) {
    if (size > 1) row("the disk alone, to as many logs at once", size, 1, await disk(folder, size));
    await skein(join(folder, `skein${size}`), size);
    if (program) await etcd(join(folder, `etcd${size}`), size, program);
  }
  row("the disk alone, again", "-", 1, await disk(folder));
} finally {
  await rm(folder, { recursive: true });
}
