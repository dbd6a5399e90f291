// How soon one endpoint that comes is in the kernel of every node of its network: a lab of 9 hosts with the network,
// an attachment that comes to the first and goes, and the kernel's own events in each host's namespace of the network.
// `sudo scripts/bench visible`.
//
//   HOSTS=9
//   RUNS=50

import { MSG_DONTWAIT, tryRecv } from "../agent/kernel/libc.js";
import { within } from "../agent/kernel/namespace.js";
import { NetlinkSocket } from "../agent/kernel/netlink-socket.js";
import { RTM_NEWNEIGH, RTNLGRP_NEIGH } from "../agent/netlink/constants.js";
import { eachMessage } from "../agent/netlink/message.js";
import { decodeNeighbour } from "../agent/netlink/neighbour.js";
import { Lab, until } from "../test/netns/lab.js";
import { api } from "./measure/clients.js";
import { heading, quantile, report } from "./measure/table.js";

const HOSTS = Number(process.env["HOSTS"] ?? 9);
const RUNS = Number(process.env["RUNS"] ?? 50);
const PATIENCE_MS = 5_000;
const buffer = Buffer.alloc(1 << 16);

/** When each MAC's rows came into one kernel. The neighbour is the last of them. */
class Arrivals {
  readonly atMs = new Map<string, number>();

  constructor(private readonly socket: NetlinkSocket) {}

  read(): void {
    for (;;) {
      const length = tryRecv(this.socket.fd, buffer, MSG_DONTWAIT);
      if (length <= 0) return;
      eachMessage(buffer, length, (message) => {
        const row = message.type === RTM_NEWNEIGH ? decodeNeighbour(message) : undefined;
        if (row !== undefined && row.ip !== "") this.atMs.set(row.mac, performance.now());
      });
    }
  }
}

async function visible(kernels: readonly Arrivals[], mac: () => string, fromMs: number) {
  while (performance.now() - fromMs < PATIENCE_MS) {
    for (const kernel of kernels) kernel.read();
    const atMs = kernels.flatMap((kernel) => kernel.atMs.get(mac()) ?? []);
    if (atMs.length === kernels.length) return atMs.map((ms) => ms - fromMs);
    await new Promise((wake) => setTimeout(wake, 1));
  }
  throw new Error("not every host got the row");
}

const lab = await Lab.up("bench-visible", HOSTS);
try {
  await lab.swarm("worker");
  await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "overnet");
  const program = ["run", "-d", "--network", "overnet", "--", "sleep", "1d"];
  for (const { name } of lab.hosts) await lab.skein(name, ...program);
  const others = lab.hosts.slice(1).map(({ name }) => `${lab.folder(name)}/run/netns/net-4097`);
  const kernels = others.map(
    (path) => new Arrivals(within(path, () => new NetlinkSocket([RTNLGRP_NEIGH]))),
  );
  const every: number[] = [];
  const last: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const name = `new-${i}`;
    for (const kernel of kernels) {
      kernel.read();
      kernel.atMs.clear();
    }
    const fromMs = performance.now();
    let mac = "";
    const wish = { Network: "overnet", Name: name };
    const asked = api(lab, "h1", "POST", "/skein/v1/attachments", wish).then((answer) => {
      mac = (JSON.parse(answer) as { readonly MacAddress: string }).MacAddress;
    });
    const atMs = await visible(kernels, () => mac, fromMs);
    await asked;
    every.push(...atMs);
    last.push(Math.max(...atMs));
    await api(lab, "h1", "DELETE", `/skein/v1/attachments/${name}`);
    await until("it is gone", async () => !(await lab.skein("h1", "attachments")).includes(name));
  }
  heading(`an endpoint's rows in ${HOSTS - 1} other kernels, from the request`);
  report("a kernel has them", every);
  report("- every one", last);
  console.log(`p99 of all: ${quantile(every, 0.99).toFixed(1)} ms`);
} finally {
  await lab.down();
}
