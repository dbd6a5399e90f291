// Debian's docker-registry on a loopback port of the test's own, open or with a password.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../fakes/free-port.js";

const START_MS = 20_000;

export interface OwnRegistry {
  /** "127.0.0.1:40123". */
  readonly host: string;
  stop(): Promise<void>;
}

export async function ownRegistry(user?: {
  readonly name: string;
  readonly password: string;
}): Promise<OwnRegistry> {
  const folder = mkdtempSync(join(tmpdir(), `${process.env["SKEIN_TEST_PREFIX"] ?? ""}registry-`));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const auth =
    user === undefined ? "" : `auth:\n  htpasswd:\n    realm: test\n    path: ${folder}/htpasswd\n`;
  if (user !== undefined) {
    // htpasswd(1) would be one more package; libcrypt knows bcrypt.
    const salt = "$2y$05$abcdefghijklmnopqrstuu";
    const hash = execFileSync("perl", [
      "-e",
      "print crypt($ARGV[0], $ARGV[1])",
      user.password,
      salt,
    ]);
    writeFileSync(join(folder, "htpasswd"), `${user.name}:${hash.toString()}\n`);
  }
  writeFileSync(
    join(folder, "config.yml"),
    `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${folder}/data\nhttp:\n  addr: ${host}\n${auth}`,
  );
  const child = spawn("docker-registry", ["serve", join(folder, "config.yml")], {
    stdio: "ignore",
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      await fetch(`http://${host}/v2/`);
      return { host, stop };
    } catch (error) {
      if (performance.now() > deadline || child.exitCode !== null) {
        await stop();
        throw new Error("docker-registry did not answer", { cause: error });
      }
      await new Promise((wake) => setTimeout(wake, 25));
    }
  }
}
