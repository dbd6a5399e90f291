// A state folder that is damaged, incomplete or another release's: the daemon says which file and what to
// do, touches nothing, and comes back when the file does. What the kernel already carries goes on.
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, run, until } from "./lab.js";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.up("damage", 2);
  await lab.swarm("worker");
  await lab.overnet("h1", "h2");
});
afterAll(() => lab?.down());

const state = (host: string) => `${lab.folder(host)}/state`;

/** Path and digest of every file; logs of daemons may grow. */
function digests(folder: string, prefix = ""): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      const name = `${prefix}${entry.name}`;
      if (name === "log") return prefix === "" ? [] : digests(path, `${name}/`);
      if (entry.isDirectory()) return digests(path, `${name}/`);
      return [`${name} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`];
    })
    .sort();
}

/** With the daemons down: damages, checks what a start says and that it touches nothing, and repairs. */
async function damaged(host: string, damage: (folder: string) => void, look: () => Promise<void>) {
  await lab.must("kill", host, "agent");
  await lab.lab("kill", host, "manager");
  const whole = `${lab.folder(host)}/whole`;
  cpSync(state(host), whole, { recursive: true, preserveTimestamps: true });
  const owners = ownersOf(state(host));
  damage(state(host));
  const before = digests(state(host));
  await look();
  expect(digests(state(host))).toEqual(before);
  await lab.lab("kill", host, "agent");
  await lab.lab("kill", host, "manager");
  rmSync(state(host), { recursive: true });
  cpSync(whole, state(host), { recursive: true, preserveTimestamps: true });
  for (const [path, owner] of owners) await lab.ok(host, "chown", "-h", owner, path);
  rmSync(whole, { recursive: true });
  await lab.must("start", host);
  await until(
    "it is whole again",
    async () => (await lab.on("h1", "skein", "node", "ls")).code === 0,
  );
  expect(await lab.ok("h1", "ping", "-c", "2", "-i", "0.2", "10.0.1.3")).toContain(
    " 0% packet loss",
  );
}

function ownersOf(folder: string): readonly (readonly [string, string])[] {
  const { uid, gid } = statSync(folder);
  const inside = statSync(folder).isDirectory() ? readdirSync(folder) : [];
  return [[folder, `${uid}:${gid}`], ...inside.flatMap((name) => ownersOf(join(folder, name)))];
}

const flip = (path: string, at: number) => {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x40, at);
  writeFileSync(path, bytes);
};
const firstLog = (folder: string) => {
  const log = join(folder, "manager/log");
  return join(log, readdirSync(log).sort()[0] ?? "");
};

describe("the agent does not start on", () => {
  const cases: readonly (readonly [string, (folder: string) => void, RegExp])[] = [
    [
      "a folder of another version",
      (f) => writeFileSync(`${f}/format`, "skein-agent 7\n"),
      /state was written by another release \(format 7/,
    ],
    ["a damaged node.json", (f) => flip(`${f}/node.json`, 0), /node\.json is damaged.*restore/],
    [
      "a damaged journal",
      (f) => flip(`${f}/journal`, 40),
      /journal is damaged.*move this one file away/,
    ],
    ["a missing private key", (f) => rmSync(`${f}/identity/key.pem`), /identity.*damaged.*restore/],
    [
      "a damaged certificate",
      (f) => flip(`${f}/identity/cert.pem`, 60),
      /identity is damaged.*restore/,
    ],
    [
      "a damaged list of attachments",
      (f) => writeFileSync(`${f}/attachments.json`, "[{"),
      /attachments\.json is damaged.*restore/,
    ],
  ];
  test.each(cases)("%s", async (_name, damage, words) => {
    await damaged("h1", damage, async () => {
      const ping = lab.start("h1", "ping", "-i", "0.1", "10.0.1.3");
      const started = await lab.lab("start", "h1");
      expect(started.code).not.toBe(0);
      expect(started.stderr).toMatch(words);
      expect(started.stderr).toContain("nothing was changed");
      expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
    });
  });
});

describe("the manager does not start, and its agent does, on", () => {
  const cases: readonly (readonly [string, (folder: string) => void, RegExp])[] = [
    [
      "a folder of another version",
      (f) => writeFileSync(`${f}/manager/version`, "format 9\n"),
      /version is of format 9, this release reads format 1/,
    ],
    [
      "a log damaged in its middle",
      (f) => flip(firstLog(f), Math.floor(statSync(firstLog(f)).size / 3)),
      /log\/\d+\.log is damaged at byte \d+.*Nothing was changed.*backup/,
    ],
    [
      "a missing data key",
      (f) => rmSync(`${f}/manager/data-key.json`),
      /data-key\.json is damaged.*Nothing was changed/,
    ],
    [
      "a damaged identity.json",
      (f) => flip(`${f}/manager/identity.json`, 0),
      /identity\.json is damaged/,
    ],
    [
      "a missing tls.json",
      (f) => rmSync(`${f}/manager/tls/tls.json`),
      /is damaged: tls\.json is missing/,
    ],
  ];
  test.each(cases)("%s", async (_name, damage, words) => {
    await damaged("h1", damage, async () => {
      const ping = lab.start("h1", "ping", "-i", "0.1", "10.0.1.3");
      await lab.must("start", "h1");
      await until(
        "it says why",
        async () => {
          const answer = await lab.on("h1", "skein", "node", "ls");
          expect(answer.stderr).toMatch(words);
          return answer.code !== 0;
        },
        10_000,
      );
      expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
    });
  });
});

describe("an agent is refused a start", () => {
  const agent = (...args: readonly string[]) => {
    const main = `${lab.folder("h1")}/../app/dist/agent/main.js`;
    return lab.on("h1", "node", main, "--hostname", "h1", "--manager-user", "nobody", ...args);
  };

  test("on a state folder that another one uses", async () => {
    const other = `${lab.folder("h1")}/other`;
    const answer = await agent(
      "--state-dir",
      state("h1"),
      "--run-dir",
      other,
      "--socket",
      `${other}/s`,
    );
    expect(answer.code).toBe(1);
    expect(answer.stderr).toMatch(/another skein-agent is using .*state/);
  });

  test("on a socket that another one serves", async () => {
    const other = `${lab.folder("h1")}/other`;
    const answer = await agent(
      "--state-dir",
      `${other}/state`,
      "--run-dir",
      `${other}/run`,
      "--socket",
      lab.socket("h1"),
    );
    expect(answer.code).toBe(1);
    expect(answer.stderr).toMatch(/skein\.sock/);
    expect(await lab.skein("h1", "node", "ls", "-q")).not.toBe("");
  });

  test("as anybody but root", async () => {
    const main = `${lab.folder("h1")}/../app/dist/agent/main.js`;
    const answer = await run("setpriv", [
      "--reuid",
      "65534",
      "--regid",
      "65534",
      "--clear-groups",
      process.execPath,
      main,
    ]);
    expect(answer.code).toBe(1);
    expect(answer.stderr).toMatch(/it must run as root/);
  });
});
