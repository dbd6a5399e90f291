// skein swarm recover, backup and restore: what they say before they do anything, and where the key goes.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { encodeBackup, newBackupKey } from "../common/backup-file.js";
import { SwarmBackup } from "../proto/gen/store.js";
import { Cluster } from "../proto/gen/types.js";
import { answer, ask } from "./testing/ask.js";

describe("swarm recover", () => {
  const plan = {
    NodeID: "a8l",
    Whole: false,
    Index: 17,
    Term: 3,
    Lost: [{ NodeID: "jgy", Addr: "192.168.33.11:2377" }],
    Damage: { File: "/var/lib/skein/manager/log/1.log", Offset: 96, KnownLost: 2 },
    KeptAside: "",
  };
  const planned = () => answer("POST", "/skein/v1/recover?plan=true", plan);

  test("says what it comes to, and does it only when told to", async () => {
    const refused = await ask([planned()], ["swarm", "recover"]);
    assert.match(refused.stdout, /up\nto entry 17 of term 3/);
    assert.match(refused.stdout, /jgy {2}192\.168\.33\.11:2377/);
    assert.match(refused.stdout, /1\.log at byte 96; at least 2 entries are lost/);
    assert.match(refused.stderr, /nothing was changed/);
    assert.equal(refused.exit, 1);
  });

  test("does it with --yes, and says where the old state is", async () => {
    const done = answer("POST", "/skein/v1/recover", { ...plan, KeptAside: "/m/before-recovery" });
    const result = await ask([planned(), done], ["swarm", "recover", "--yes"]);
    assert.match(result.stdout, /goes on with this manager \(a8l\) alone/);
    assert.match(result.stdout, /kept in \/m\/before-recovery/);
    assert.equal(result.exit, 0);
  });

  test("does nothing for a manager that is alone and works", async () => {
    const whole = answer("POST", "/skein/v1/recover?plan=true", { ...plan, Whole: true });
    const result = await ask([whole], ["swarm", "recover", "--yes"]);
    assert.match(result.stdout, /nothing to recover/);
  });
});

describe("swarm backup", () => {
  const key = newBackupKey(randomBytes);
  const content = SwarmBackup.fromPartial({
    clusterId: "c1",
    index: 17,
    store: {
      objects: [{ object: { $case: "cluster", value: Cluster.fromPartial({ id: "c1" }) } }],
    },
  });
  const file = encodeBackup(key, randomBytes(32), content);
  const made = { Key: key, ClusterID: "c1", Index: 17, File: file.toString("base64") };
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "skein-backup-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("is written for its owner alone, verified, and its key is shown once", async () => {
    const path = join(folder, "b");
    const result = await ask([answer("POST", "/skein/v1/backup", made)], ["swarm", "backup", path]);
    assert.match(result.stdout, /read back and verified/);
    assert.ok(result.stdout.includes(`\n    ${key}\n`));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readFileSync(path), file);
    const again = await ask([], ["swarm", "backup", path]);
    assert.match(again.stderr, /is there already/);
    const checked = await ask([], ["swarm", "backup", "--verify", path], { stdin: `${key}\n` });
    assert.match(checked.stdout, /is whole and reads back: swarm c1 of .* up to entry 17/);
  });

  test("that does not open is not left behind", async () => {
    const path = join(folder, "c");
    const wrong = { ...made, Key: newBackupKey(randomBytes) };
    const result = await ask(
      [answer("POST", "/skein/v1/backup", wrong)],
      ["swarm", "backup", path],
    );
    assert.match(result.stderr, /does not read back/);
    assert.equal(existsSync(path), false);
  });

  test("is not written to standard output, nor to a file of that name", async () => {
    const result = await ask([], ["swarm", "backup", "-"]);
    assert.match(result.stderr, /a backup is written to a file/);
    assert.equal(existsSync("-"), false);
  });

  test("a wrong key stops a restore before anybody is asked", async () => {
    const path = join(folder, "b");
    const stdin = `${newBackupKey(randomBytes)}\n`;
    const result = await ask([], ["swarm", "restore", path], { stdin });
    assert.match(result.stderr, /the key is that of another backup\. Nothing was changed/);
  });

  test("a restore sends the key in the body, and says which node this is", async () => {
    const path = join(folder, "b");
    const url =
      "/skein/v1/restore?advertiseAddr=192.0.2.1&listenAddr=0.0.0.0%3A2377&dataPathAddr=&node=h1";
    const asked = answer("POST", url, { NodeID: "a8l", New: false });
    const line = ["swarm", "restore", "--advertise-addr", "192.0.2.1", "--node", "h1", path];
    const result = await ask([asked], line, { stdin: `${key}\n` });
    assert.match(result.stdout, /This node \(a8l\), the node that it was, is its only manager/);
  });
});
