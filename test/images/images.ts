// The images that tests load, as archives that `docker load` takes: scripts/images makes them from
// Debian's packages, once a checkout.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const root = here.endsWith("/dist") ? dirname(here) : here;

/** The path of the archive; "alpine" is busybox as alpine:latest has it, "nginx" serves on port 80. */
export function imageArchive(name: "alpine" | "nginx"): string {
  return execFileSync(join(root, "scripts/images"), ["path", name], { encoding: "utf8" }).trim();
}
