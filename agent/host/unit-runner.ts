// The manager as a systemd unit: systemd starts, restarts and logs it; the agent says when.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../../common/clock.js";
import { Fault } from "../../common/fault.js";
import type { ManagerRunner, RunningManager } from "../seams.js";
import { ensureOwnFolder, eraseFolder } from "./own-folder.js";

const run = promisify(execFile);
// Choice: systemd restarts the unit itself; looking tells only whether somebody stopped it by hand.
const LOOK_MS = 2_000;

export interface UnitSettings {
  readonly unit: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** The unit's User=, whose the two folders become. */
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly clock: Clock;
}

export function unitRunner({ unit, stateDir, runDir, owner, clock }: UnitSettings): ManagerRunner {
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
      // The unit may write nowhere else, and could not make them: it starts without any privilege.
      ensureOwnFolder(stateDir, owner);
      ensureOwnFolder(runDir, owner);
      await systemctl("start");
      return watched();
    },
    hasState: () => existsSync(join(stateDir, "identity.json")),
    erase: () => eraseFolder(stateDir),
  };
}
