// Managers come and go: joins that fail, promotions and demotions in circles, a node removed by force
// while it lives, and the power cut for everybody at once.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, until } from "./lab.js";
import { callApi, getJson } from "./local-api.js";
import { differences, processesOf, unreachablePairs } from "./truth.js";

interface Raft {
  readonly Members: readonly { NodeID: string; Addr: string; Learner: boolean }[];
  readonly LeaderNodeID: string;
}
interface Node {
  readonly ID: string;
  readonly Description: { readonly Hostname: string };
  readonly Spec: { readonly Role: string };
  readonly Status: { readonly State: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string };
}

let lab: Lab;
const raftOf = (host: string) => getJson<Raft>(lab.socket(host), "/skein/v1/raft");
const nodesOf = (host: string) => getJson<readonly Node[]>(lab.socket(host), "/nodes");
const addressOf = (host: string) => lab.hosts.find(({ name }) => name === host)?.address ?? "";
const hostsIn = async (host: string) =>
  (await nodesOf(host)).map(({ Description }) => Description.Hostname).sort();

async function join(host: string, role: "worker" | "manager") {
  const token = await lab.token("h1", role);
  return lab.on(host, "skein", "swarm", "join", "--token", token, "192.168.33.10:2377");
}

/** As many voters as that, none else, and every node ready. */
async function settled(voters: number, ms = 10_000): Promise<void> {
  await until(
    `there are ${voters} voters`,
    async () => {
      const { Members } = await raftOf("h1");
      const nodes = await nodesOf("h1");
      const reachable = nodes.filter((node) => node.ManagerStatus?.Reachability === "reachable");
      const whole =
        Members.length === voters &&
        Members.every(({ Learner }) => !Learner) &&
        reachable.length === voters &&
        nodes.every(({ Status }) => Status.State === "ready");
      if (!whole) throw new Error(JSON.stringify([Members, nodes], undefined, 1));
      return true;
    },
    ms,
  );
}

/** Each has heard that it is no manager any more, and done what follows. */
async function resigned(...hosts: readonly string[]): Promise<void> {
  await until(
    "their manager processes are gone",
    () => hosts.every((host) => processesOf(lab, host).daemons.length === 1),
    60_000,
  );
}

beforeAll(async () => {
  lab = await Lab.up("managers", 5);
  await lab.skein("h1", "swarm", "init", "--advertise-addr", "192.168.33.10");
});
afterAll(() => lab?.down());

describe("a join that fails", () => {
  const nothingLeft = async (host: string) => {
    expect(await hostsIn("h1")).toEqual(["h1"]);
    expect((await raftOf("h1")).Members).toHaveLength(1);
    expect(await lab.skein(host, "info", "--format", "{{.Swarm.LocalNodeState}}")).toBe("inactive");
    const state = `${lab.folder(host)}/state`;
    expect(readdirSync(state).filter((name) => /node|identity|journal|manager/.test(name))).toEqual(
      [],
    );
    expect(processesOf(lab, host).daemons).toHaveLength(1);
  };

  test("for port 2377 names it, and leaves nothing on the joiner nor in the swarm", async () => {
    const taken = lab.start(
      "h2",
      "node",
      "-e",
      'require("net").createServer().listen(2377, "0.0.0.0", () => console.log("taken"))',
    );
    await until("the port is taken", () => taken.output().includes("taken"));
    const answer = await join("h2", "manager");
    expect(answer.stderr).toMatch(/2377.*in use/);
    expect(answer.code).not.toBe(0);
    await taken.stop();
    await nothingLeft("h2");
  });

  test("for port 4789 does so too, for a worker", async () => {
    const taken = lab.start(
      "h2",
      "node",
      "-e",
      'const s = require("dgram").createSocket("udp4"); s.bind(4789, "0.0.0.0", () => console.log("taken"))',
    );
    await until("the port is taken", () => taken.output().includes("taken"));
    const answer = await join("h2", "worker");
    expect(answer.stderr).toMatch(/4789.*taken/);
    await taken.stop();
    await nothingLeft("h2");
  });

  test("because the leader cannot reach the joiner leaves no member", async () => {
    const token = await lab.token("h1", "manager");
    const nobody = ["--advertise-addr", "192.168.33.77"];
    const join = ["swarm", "join", ...nobody, "--token", token, "192.168.33.10:2377"];
    const answer = await lab.on("h2", "skein", ...join);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toMatch(/192\.168\.33\.77/);
    await nothingLeft("h2");
  }, 120_000);

  test("because agent and manager are killed in the middle leaves no member", async () => {
    const joining = join("h2", "manager");
    const seat = `${lab.folder("h2")}/state/manager/identity.json`;
    await until("the manager has a seat", () => existsSync(seat));
    for (const daemon of processesOf(lab, "h2").daemons) {
      process.kill(Number(daemon.split(" ")[1]), "SIGKILL");
    }
    await joining;
    await lab.must("start", "h2");
    const state = await lab.skein("h2", "info", "--format", "{{.Swarm.LocalNodeState}}");
    if (state === "active") {
      await lab.skein("h2", "swarm", "leave", "--force");
      return;
    }
    await until("nothing is left", () => nothingLeft("h2").then(() => true), 10_000);
  });
});

describe("managers come and go", () => {
  test("five managers serve, and a write goes through each", async () => {
    for (const host of ["h2", "h3", "h4", "h5"]) {
      const answer = await join(host, "manager");
      expect(answer.stderr).toBe("");
    }
    await settled(5);
    for (const { name } of lab.hosts) {
      await lab.skein(name, "network", "create", "-d", "overlay", "--attachable", `by-${name}`);
      await lab.skein(name, "network", "rm", `by-${name}`);
    }
  });

  test("two of five killed at once: the rest serve, and they come back", async () => {
    for (const host of ["h4", "h5"]) {
      await lab.must("kill", host, "agent");
      await lab.must("kill", host, "manager");
    }
    await until("a write is taken", async () => {
      const { status } = await callApi(lab.socket("h1"), "POST", "/networks/create", {
        Name: "with-three",
        Driver: "overlay",
        Attachable: true,
      });
      return status === 201 || status === 409;
    });
    await lab.skein("h2", "network", "rm", "with-three");
    for (const host of ["h4", "h5"]) await lab.must("start", host);
    await settled(5);
  });

  test("demoted and promoted in circles, they are what was asked last", async () => {
    for (let round = 0; round < 3; round++) {
      await lab.skein("h1", "node", "demote", "h4", "h5");
      // They may not have heard of it when they are promoted again: at once, or when their seats are gone.
      if (round > 0) await settled(3, 60_000);
      await lab.skein("h1", "node", "promote", "h4", "h5");
      if (round !== 1) await settled(5, 60_000);
    }
    await settled(5, 60_000);
    await lab.skein("h1", "node", "demote", "h4", "h5");
    await settled(3, 60_000);
    await resigned("h4", "h5");
    for (const host of ["h4", "h5"]) {
      expect(existsSync(`${lab.folder(host)}/state/manager/identity.json`)).toBe(false);
    }
  }, 400_000);

  test("the leader is demoted, again and again, and the swarm has one each time", async () => {
    const voters = ["h1", "h2", "h3"];
    for (let round = 0; round < 3; round++) {
      const { LeaderNodeID } = await raftOf("h1");
      const leader = (await nodesOf("h1")).find(({ ID }) => ID === LeaderNodeID);
      const name = leader?.Description.Hostname ?? "";
      const other = voters.find((host) => host !== name) ?? "";
      await lab.skein(other, "node", "demote", name);
      await until("it is a worker", async () => {
        const nodes = await nodesOf(other);
        const node = nodes.find(({ Description }) => Description.Hostname === name);
        return node?.ManagerStatus === undefined && nodes.some((n) => n.ManagerStatus?.Leader);
      });
      await resigned(name);
      await lab.skein(other, "node", "promote", name);
      await until("it is back", async () => {
        const { status } = await callApi(lab.socket(name), "GET", "/nodes");
        return status === 200;
      });
      await settled(3, 60_000);
    }
  }, 400_000);

  test("from three to two to one, and the one goes on", async () => {
    await lab.skein("h1", "node", "demote", "h3");
    await settled(2, 60_000);
    await lab.skein("h1", "node", "demote", "h2");
    await settled(1, 60_000);
    const last = await lab.on("h1", "skein", "node", "demote", "h1");
    expect(last.stderr).toMatch(/last manager/);
    await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "alone");
    await lab.skein("h1", "network", "rm", "alone");
    await resigned("h2", "h3");
    await lab.skein("h1", "node", "promote", "h2", "h3");
    await settled(3, 60_000);
  }, 160_000);
});

describe("a live node removed by force", () => {
  test("has no session, its certificate opens nothing, and its rows are gone", async () => {
    await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "gone");
    await lab.skein("h1", "attach", "--network", "gone");
    await lab.skein("h5", "attach", "--network", "gone");
    await until(
      "they ping",
      async () => (await lab.on("h1", "ping", "-c", "1", "-W", "1", "10.0.1.3")).code === 0,
    );
    await lab.skein("h1", "node", "rm", "--force", "h5");
    const started = performance.now();
    const probe = [
      "node",
      `${lab.folder("h5")}/../app/test/netns/knock.mjs`,
      `${lab.folder("h5")}/state/identity`,
    ];
    for (const manager of ["h1", "h2", "h3"]) {
      await until(
        `${manager} refuses`,
        async () => {
          const answer = await lab.on("h5", ...probe, `${addressOf(manager)}:2377`);
          return /PERMISSION_DENIED.*removed/.test(answer.stdout);
        },
        3_000,
      );
    }
    expect(performance.now() - started).toBeLessThan(5_000);
    await until(
      "h1 has no row of it",
      async () => {
        const found = await lab.ok(
          "h1",
          "sh",
          "-c",
          `nsenter --net=$(echo ${lab.folder("h1")}/run/netns/net-4*) sh -c 'bridge fdb; ip neigh'`,
        );
        return !/192\.168\.33\.14|10\.0\.1\.3\b/.test(found);
      },
      3_000,
    );
    expect(await lab.skein("h5", "info", "--format", "{{.Swarm.Error}}")).toMatch(/removed/);
    await lab.skein("h5", "swarm", "leave", "--force");
    expect(await lab.skein("h5", "info", "--format", "{{.Swarm.LocalNodeState}}")).toBe("inactive");
    expect(await lab.ok("h5", "ls", `${lab.folder("h5")}/run/netns`)).toBe("");
    expect((await join("h5", "worker")).stderr).toBe("");
    await lab.skein("h1", "detach", "gone");
    await lab.skein("h1", "network", "rm", "gone");
  });
});

describe("everything dies at once", () => {
  const all = () => lab.hosts.flatMap(({ name }) => processesOf(lab, name).daemons);
  const kill = (daemons: readonly string[]) => {
    for (const each of daemons) {
      try {
        process.kill(Number(each.split(" ")[1]), "SIGKILL");
      } catch (error) {
        // It ended by itself, as a child of one that was just killed does.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
  };
  const start = async () => {
    await Promise.all(lab.hosts.map(({ name }) => lab.must("start", name)));
  };
  const whole = async () => {
    await settled(3, 10_000);
    await until("kernels are true", async () => {
      const found = [...(await differences(lab, "h1"))];
      if (found.length === 0) found.push(...(await unreachablePairs(lab, "h1")));
      if (found.length > 0) throw new Error(found.join("\n"));
      return true;
    });
  };

  test("agents and managers: containers go on, and the swarm comes back", async () => {
    await settled(3);
    await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "power");
    await lab.skein("h1", "attach", "--network", "power");
    for (const host of ["h2", "h4"]) {
      const run = ["run", "-d", "--name", "box", "--network", "power", "--", "sleep", "infinity"];
      await lab.skein(host, ...run);
    }
    const ping = lab.start("h1", "ping", "-i", "0.1", "10.0.1.3");
    await until("pings come back", () => ping.output().split("\n").length > 5);
    kill(all());
    await start();
    await whole();
    expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
  });

  test("the power: networks and attachments come back, containers have exited", async () => {
    // What a power cut takes: every process, and all of the kernel's state; what is in /run goes too.
    for (const { name } of lab.hosts) {
      const { daemons } = processesOf(lab, name);
      kill(daemons);
      for (const pid of sandboxed(name)) kill([`${name} ${pid}`]);
      await lab.ok(
        "h1",
        "sh",
        "-c",
        `for f in ${lab.folder(name)}/run/netns/* ${lab.folder(name)}/run/bpf; do umount -l $f 2>/dev/null; done; rm -rf ${lab.folder(name)}/run; mkdir ${lab.folder(name)}/run`,
      );
    }
    for (const link of JSON.parse(await lab.ok("h1", "ip", "-j", "link")) as { ifname: string }[]) {
      if (link.ifname.startsWith("sk-")) await lab.on("h1", "ip", "link", "del", link.ifname);
    }
    await start();
    await whole();
    for (const host of ["h2", "h4"]) {
      expect(await lab.skein(host, "ps", "-a", "--format", "{{.Names}} {{.State}}")).toBe(
        "box exited",
      );
      await lab.skein(host, "start", "box");
    }
    await whole();
    expect(await lab.skein("h1", "node", "ls", "-q")).not.toBe("");
  });
});

/** The processes of a host's containers, and what looks after them. */
function sandboxed(host: string): readonly number[] {
  const found: number[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (line.includes("/shim.js") && line.includes(`${lab.folder(host)}/run/containers/`)) {
        const tasks = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
        found.push(...tasks.trim().split(/\s+/).filter(Boolean).map(Number), Number(pid));
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}
