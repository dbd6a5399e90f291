// The manager as a systemd unit: systemd starts, restarts and logs it; the agent says when.
import { execFile } from "node:child_process";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../../common/clock.js";
import { Fault } from "../../common/fault.js";
import type { ManagerRunner, RunningManager } from "../seams.js";

const run = promisify(execFile);
// Choice: systemd restarts the unit itself; looking tells only whether somebody stopped it by hand.
const LOOK_MS = 2_000;

export function unitRunner(unit: string, stateDir: string, clock: Clock): ManagerRunner {
  const systemctl = async (...args: string[]) => {
    try {
      await run("systemctl", [...args, unit]);
    } catch (error) {
      throw new Fault("SYSTEMCTL", { verb: args[0], unit }, error);
    }
  };
  const active = () =>
    systemctl("is-active", "--quiet").then(
      () => true,
      () => false,
    );
  const watched = (): RunningManager => {
    let release = () => {};
    const exited = new Promise<string>((resolve) => {
      release = clock.every(LOOK_MS, () => {
        void active().then((isActive) => {
          if (!isActive) resolve("unit is not active");
        });
      });
    });
    void exited.then(() => release());
    return {
      exited,
      release: () => release(),
      async stop() {
        release();
        await systemctl("stop");
      },
    };
  };
  return {
    find: async () => ((await active()) ? watched() : undefined),
    async start() {
      await systemctl("start");
      return watched();
    },
    async erase() {
      // The folder itself is systemd's (StateDirectory=): only what is in it goes.
      for (const name of await readdir(stateDir).catch(() => [])) {
        await rm(join(stateDir, name), { recursive: true, force: true });
      }
    },
  };
}
