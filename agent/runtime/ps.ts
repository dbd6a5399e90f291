// ps(1) of the machine, for `docker top`. Its arguments are the client's; it only reads.
import { execFile } from "node:child_process";
import { type Refusal, refuse } from "../../common/fault.js";
import { type ProcessTable, parsePs } from "../task/process-table.js";

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const TIMEOUT_MS = 10_000;

export function ps(psArguments: readonly string[]): Promise<ProcessTable | Refusal> {
  const options = {
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", COLUMNS: "65535" },
  };
  return new Promise((resolve) => {
    execFile("ps", [...psArguments], options, (error, stdout, stderr) => {
      if (error === null) return resolve(parsePs(stdout));
      const said = String(stderr).trim().split("\n")[0] || error.message;
      resolve(refuse("invalid-argument", `ps: ${said}`));
    });
  });
}
