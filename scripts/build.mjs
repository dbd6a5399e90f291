// proto → TypeScript → dist/, and C → dist/. Each step looks at what changed, so a second build takes a moment.
import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
await import("./generate.mjs");
const run = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", root], {
  cwd: root,
  stdio: "inherit",
});
if (run.status !== 0) process.exit(run.status ?? 1);
await import("./bpf.mjs");
for (const program of ["agent", "manager", "cli"])
  chmodSync(join(root, "dist", program, "main.js"), 0o755);
