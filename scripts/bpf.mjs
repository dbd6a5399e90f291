// The eBPF programs of the accelerated data path → dist/. Without clang the build goes on: an agent then says that it
// has no such path.
//   node scripts/bpf.mjs           compiles them, if they changed
//   node scripts/bpf.mjs --needed  whether they are to be compiled, as its exit code (0: yes)
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const from = join(root, "agent/kernel/bpf");
const object = join(root, "dist/agent/kernel/bpf/programs.o");
// Where Debian has the headers that differ by machine.
const machine = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch];
// Any of these knows the target; the first is whatever the machine's owner prefers.
const clangs = ["clang", ...[21, 20, 19, 18, 17, 16, 15, 14].map((version) => `clang-${version}`)];

const changedMs = Math.max(
  ...readdirSync(from).map((name) => statSync(join(from, name)).mtimeMs),
  statSync(fileURLToPath(import.meta.url)).mtimeMs,
);
const needed = !existsSync(object) || statSync(object).mtimeMs < changedMs;
if (process.argv[2] === "--needed") process.exit(needed ? 0 : 1);
if (needed) compile();

function compile() {
  // One of other sources would not know what this agent tells it.
  rmSync(object, { force: true });
  const clang = clangs.find((name) => spawnSync(name, ["--version"]).status === 0);
  if (clang === undefined || !existsSync("/usr/include/linux/bpf.h")) {
    const missing = clang === undefined ? "clang" : "linux-libc-dev";
    console.error(`skein: ${missing} is not here, so this build has no accelerated data path`);
    return;
  }
  mkdirSync(dirname(object), { recursive: true });
  // v3 has 32-bit comparisons; every kernel that has the helpers knows them.
  const flags = ["-target", "bpfel", "-mcpu=v3", "-O2", "-Wall", "-Wextra", "-Werror"];
  const headers = ["-I", `/usr/include/${machine}`];
  const files = ["-c", join(from, "programs.c"), "-o", object];
  const run = spawnSync(clang, [...flags, ...headers, ...files], { stdio: "inherit" });
  if (run.status !== 0) process.exit(run.status ?? 1);
}
