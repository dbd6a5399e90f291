// What is measured between two ends, whatever joins them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../test/netns/lab.js";
import { type Background, background, within } from "./background.js";
import type { Standing } from "./pair.js";
import { median } from "./table.js";

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
}

export interface Measure {
  readonly figures: readonly Figure[];
  /** As many numbers as figures. */
  take(at: Standing, seconds: number): Promise<readonly number[]>;
}

export const SMALL_PACKETS: Measure = {
  figures: [{ name: "UDP, 64 bytes", unit: "kpps", digits: 0 }],
  take: async (at, seconds) => [await packets(at, 64, seconds)],
};
export const TCP_PING_PONG: Measure = {
  figures: [
    { name: "TCP ping-pong, p50", unit: "µs", digits: 1 },
    { name: "TCP ping-pong, p99", unit: "µs", digits: 1 },
  ],
  take: (at, seconds) => pingPong(at, ["--tcp"], seconds),
};

export const MEASURES: readonly Measure[] = [
  {
    figures: [
      { name: "TCP, 1 stream", unit: "Gbit/s", digits: 2 },
      { name: "CPU at it", unit: "% a Gbit/s", digits: 1 },
    ],
    take: async (at, seconds) => {
      const { gbits, cpuPercent } = await tcp(at, 1, seconds);
      return [gbits, cpuPercent / gbits];
    },
  },
  {
    figures: [{ name: "TCP, 4 streams", unit: "Gbit/s", digits: 2 }],
    take: async (at, seconds) => [(await tcp(at, 4, seconds)).gbits],
  },
  SMALL_PACKETS,
  {
    figures: [{ name: "UDP, 1400 bytes", unit: "kpps", digits: 0 }],
    take: async (at, seconds) => [await packets(at, 1400, seconds)],
  },
  {
    figures: [{ name: "ping", unit: "µs", digits: 0 }],
    take: async (at) => [await ping(at)],
  },
  TCP_PING_PONG,
  {
    figures: [
      { name: "UDP ping-pong, p50", unit: "µs", digits: 1 },
      { name: "UDP ping-pong, p99", unit: "µs", digits: 1 },
    ],
    take: (at, seconds) => pingPong(at, [], seconds),
  },
];

const BLAST = join(fileURLToPath(new URL(".", import.meta.url)), "blast.js");
const PORT = 7010;
// Its server does not take a port of which an earlier connection is still remembered.
const PING_PONG_PORT = 7011;
// Choice: a server that has said nothing by then is tried all the same.
const READY_MS = 30_000;
// Choice: longer than any one measurement takes.
const ANSWER_MS = 300_000;

/** A server in the background for as long as it is used, from when it says that it is ready. */
async function serving<T>(
  { server }: Standing,
  cpu: number,
  words: readonly string[],
  ready: RegExp,
  use: (serving: Background) => Promise<T>,
): Promise<T> {
  const child = background(server, ["taskset", "-c", String(cpu), ...words]);
  try {
    await within(READY_MS, () => ready.test(child.output()));
    return await use(child);
  } finally {
    await child.stop();
  }
}

async function asking(
  { client }: Standing,
  cpu: number,
  words: readonly string[],
): Promise<string> {
  const args = [`--net=${client}`, "taskset", "-c", String(cpu), ...words];
  const result = await run("nsenter", args, { timeoutMs: ANSWER_MS });
  if (result.code !== 0) throw new Error(`${words.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

interface Stream {
  readonly gbits: number;
  /** Of one CPU: both ends' programs, and the processes that carry the frames. */
  readonly cpuPercent: number;
}

async function tcp(at: Standing, streams: number, seconds: number): Promise<Stream> {
  const port = ["-p", String(PORT)];
  const serve = ["iperf3", "-s", "-1", "--forceflush", ...port];
  const carriers = await carriersOf(at);
  return serving(at, 1, serve, /listening/, async () => {
    const before = cpuSeconds(carriers);
    // One second more is left out of its figures: the streams find their windows in it.
    const flags = ["-J", "-t", String(seconds), "-O", "1", "-P", String(streams), ...port];
    const text = await asking(at, 0, ["iperf3", "-c", at.address, ...flags]);
    const carried = (cpuSeconds(carriers) - before) / (seconds + 1);
    const { end } = JSON.parse(text) as {
      readonly end: {
        readonly sum_received: { readonly bits_per_second: number };
        readonly cpu_utilization_percent: Readonly<Record<"host_total" | "remote_total", number>>;
      };
    };
    const { host_total: near, remote_total: far } = end.cpu_utilization_percent;
    const gbits = end.sum_received.bits_per_second / 1e9;
    return { gbits, cpuPercent: near + far + 100 * carried };
  });
}

/** Processes in the hosts' namespaces, where nothing measures as yet: agents, tunnels. */
async function carriersOf({ hosts }: Standing): Promise<readonly string[]> {
  const told = await Promise.all(hosts.map((name) => run("ip", ["netns", "pids", name])));
  return told.flatMap(({ stdout }) => stdout.split("\n")).filter((pid) => pid !== "");
}

function cpuSeconds(pids: readonly string[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    // proc(5): utime and stime are fields 14 and 15, in ticks of 1/100 s on Linux.
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

async function packets(at: Standing, bytes: number, seconds: number): Promise<number> {
  const serve = [process.execPath, BLAST, "receive", String(PORT)];
  return serving(at, 1, serve, /ready/, async (server) => {
    const flags = [at.address, String(PORT), String(bytes), String(seconds)];
    await asking(at, 0, [process.execPath, BLAST, "send", ...flags]);
    await server.ended;
    const told = JSON.parse(server.output().split("\n")[1] ?? "") as {
      readonly received: number;
      readonly seconds: number;
    };
    return told.received / told.seconds / 1000;
  });
}

const PINGS = 200;

/** What ping(8) says, of the median. */
async function ping(at: Standing): Promise<number> {
  const text = await asking(at, 0, ["ping", "-c", String(PINGS), "-i", "0.005", at.address]);
  return median([...text.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000));
}

/** Round trips of 64 bytes, both ends on one CPU: their 50th and 99th percentile. */
async function pingPong(
  standing: Standing,
  flags: readonly string[],
  seconds: number,
): Promise<readonly number[]> {
  const at = ["-i", standing.address, "-p", String(PING_PONG_PORT), ...flags];
  const ready = /PRINT ONLY|recv|to terminate/;
  return serving(standing, 0, ["sockperf", "server", ...at], ready, async () => {
    const words = ["ping-pong", ...at, "-m", "64", "-t", String(seconds), "--full-rtt"];
    const text = await asking(standing, 0, ["sockperf", ...words]);
    return ["50.000", "99.000"].map((each) => {
      const us = Number(new RegExp(`percentile ${each} =\\s+([\\d.]+)`).exec(text)?.[1]);
      if (Number.isNaN(us)) throw new Error(`sockperf told no percentile: ${text}`);
      return us;
    });
  });
}
