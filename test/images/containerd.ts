// A containerd of a test's own: root, state and socket in a folder that goes with it.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Containerd } from "../../agent/containerd/connection.js";

const START_MS = 20_000;

export interface OwnContainerd {
  readonly folder: string;
  readonly containerd: Containerd;
  /** kill -9; what it keeps stays. */
  kill(): Promise<void>;
  /** After `kill`. Resolves when it answers. */
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

export async function ownContainerd(root?: string): Promise<OwnContainerd> {
  const folder = mkdtempSync(join(tmpdir(), `${process.env["SKEIN_TEST_PREFIX"] ?? ""}ctrd-`));
  const socketPath = join(folder, "containerd.sock");
  writeFileSync(
    join(folder, "config.toml"),
    `version = 2
root = "${root ?? join(folder, "root")}"
state = "${join(folder, "state")}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${socketPath}"
`,
  );
  let said = "";
  const run = () => {
    const child = spawn("containerd", ["--config", join(folder, "config.toml")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.on("data", (text) => {
      said = (said + String(text)).slice(-4_000);
    });
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    return { child, ended };
  };
  let daemon = run();
  const containerd = new Containerd({ socketPath, namespace: "test" });
  const kill = async () => {
    daemon.child.kill("SIGKILL");
    await daemon.ended;
  };
  const stop = async () => {
    containerd.close();
    await kill();
    for (const mount of mountsBelow(folder)) spawn("umount", ["-l", mount]);
    rmSync(folder, { recursive: true, force: true });
  };
  const answers = async () => {
    const deadline = performance.now() + START_MS;
    for (;;) {
      try {
        await containerd.version({ timeoutMs: 1_000 });
        return;
      } catch (error) {
        if (performance.now() > deadline || daemon.child.exitCode !== null) {
          await stop();
          throw new Error(`containerd did not answer: ${said}`, { cause: error });
        }
        await new Promise((wake) => setTimeout(wake, 25));
      }
    }
  };
  await answers();
  const startAgain = async () => {
    daemon = run();
    await answers();
  };
  return { folder, containerd, kill, startAgain, stop };
}

function mountsBelow(folder: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${folder}/`))
    .reverse();
}
