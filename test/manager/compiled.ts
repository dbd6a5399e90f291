// Real processes need JavaScript: compiles the tree once into a cache of its own, so that these tests
// need no build of dist/ and never run a stale one.
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
// Beside the dependencies, so that imports find them.
const out = join(root, "node_modules", ".cache", "skein-test");

/** Path of the compiled `manager/main.js`. */
export async function compiledManager(): Promise<string> {
  await mkdir(out, { recursive: true });
  await writeFile(join(out, "package.json"), '{ "type": "module" }\n');
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const args = ["-p", join(root, "tsconfig.json"), "--outDir", out, "--sourceMap", "false"];
  const info = ["--tsBuildInfoFile", join(out, ".tsbuildinfo")];
  // What does not type-check elsewhere in the tree is another test's to say.
  await promisify(execFile)(tsc, [...args, ...info]).catch(() => {});
  return join(out, "manager", "main.js");
}
