// Things whose cost is known, measured in the same minutes: what the times beside them are worth.
import { mkdtemp, open, rm } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { run } from "../../test/netns/lab.js";
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
