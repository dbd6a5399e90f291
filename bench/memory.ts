// A userspace host's memory under full load: nothing is allocated for a frame, so it is flat. Both hosts' processes (an
// agent's kernel side and its two switch threads) are looked at every second, after two seconds in which code is compiled and
// buffers are touched for the first time. `sudo scripts/bench memory`.
//
//   SECONDS=10     how long each load lasts; 60 for the record
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../test/netns/lab.js";
import { type Standing, settle } from "./measure/pair.js";
import { skein } from "./measure/skein.js";
import { MEASURES, SMALL_PACKETS } from "./measure/traffic.js";

const SECONDS = Number(process.env["SECONDS"] ?? 10);
const WARM_SECONDS = 2;

const LOADS = [MEASURES[0] ?? SMALL_PACKETS, SMALL_PACKETS];

/** Of its own, not of files: heaps, stacks, buffers; in KiB (proc(5)). */
function memoryKib(pid: string): number {
  return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function pidsOf(standing: Standing): Promise<readonly string[]> {
  const told = await Promise.all(standing.hosts.map((name) => run("ip", ["netns", "pids", name])));
  return told.map(({ stdout }) => stdout.trim());
}

/** What the load carried, and each process's memory, second by second. */
async function watched(load: Promise<readonly number[]>, pids: readonly string[]) {
  const samples = pids.map((): number[] => []);
  let isOver = false;
  const over = load.finally(() => {
    isOver = true;
  });
  await Promise.race([over, sleep(1000 * WARM_SECONDS)]);
  while (!isOver) {
    for (const [i, pid] of pids.entries()) samples[i]?.push(memoryKib(pid));
    await Promise.race([over, sleep(1000)]);
  }
  return { figures: await over, samples };
}

const standing = await skein(`skm${process.pid}`, "tunnel-gso", "userspace");
try {
  settle(standing);
  const pids = await pidsOf(standing);
  console.log(`| ${SECONDS} s of | | | at first, MiB | at last | least | most |`);
  console.log("|---|---|---|---|---|---|---|");
  for (const { figures, take } of LOADS) {
    const { name, unit, digits } = figures[0] ?? { name: "", unit: "", digits: 0 };
    const { figures: values, samples } = await watched(take(standing, SECONDS), pids);
    for (const [i, kib] of samples.entries()) {
      const told = [kib[0], kib.at(-1), Math.min(...kib), Math.max(...kib)];
      const mib = told.map((each) => ((each ?? Number.NaN) / 1024).toFixed(1));
      const carried = `${values[0]?.toFixed(digits)} ${unit}`;
      const end = i === 0 ? "sender" : "receiver";
      console.log(`| ${name} | ${carried} | ${end} | ${mib.join(" | ")} |`);
    }
  }
} finally {
  await standing.down();
}
