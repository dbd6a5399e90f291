// Things whose cost is known, measured in the same minutes: what the times beside them are worth.
import { mkdtemp, open, rm } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { type Lab, run } from "../../test/netns/lab.js";
import { heading, report, timed, times } from "./table.js";

export async function yardsticks(runs: number): Promise<void> {
  const load = loadavg().map((each) => each.toFixed(1));
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, Linux ${release()}, Node ${process.version}`,
  );
  console.log(`load averages at the start: ${load.join(", ")}`);
  heading("yardsticks");
  report(
    "`docker --version`: the client's own start",
    await times(runs, () => run("docker", ["--version"])),
  );
  report("`node -e 0`", await times(runs, () => run(process.execPath, ["-e", "0"])));
  report("4 KiB written and fdatasync'ed, where the lab keeps its state", await syncs(10 * runs));
}

/** The least that a container costs: made, started and ended by containerd's own client, with no network. */
export async function ctrRun(lab: Lab, runs: number): Promise<void> {
  const folder = `/run/skein-lab/${lab.name}`;
  const config = `${lab.name.replace(/[-_]+/g, "-")}-h1`;
  const ctr = async (...args: readonly string[]) => {
    const socket = `${folder}/containerd/c.sock`;
    const result = await run("ctr", ["-a", socket, "-n", `skein-${config}`, ...args]);
    if (result.code !== 0) throw new Error(`ctr ${args.join(" ")}: ${result.stderr}`);
    return result.stdout.trim();
  };
  const [image] = (await ctr("images", "ls", "-q")).split("\n");
  let next = 0;
  const ms = await times(runs, () => ctr("run", "--rm", image ?? "", `yard${next++}`, "true"));
  report("`ctr run --rm alpine true`: containerd's own client, no network", ms);
}

async function syncs(count: number): Promise<number[]> {
  const folder = await mkdtemp("/run/skein-bench-");
  const file = await open(join(folder, "file"), "w");
  const block = Buffer.alloc(4096, 1);
  const ms: number[] = [];
  try {
    for (let i = 0; i < count; i++) {
      ms.push(
        await timed(async () => {
          await file.write(block);
          await file.datasync();
        }),
      );
    }
  } finally {
    await file.close();
    await rm(folder, { recursive: true });
  }
  return ms;
}
