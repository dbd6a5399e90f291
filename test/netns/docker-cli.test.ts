// The real docker CLI against real daemons: a sequence of what it printed against dockerd
// (test/contract/transcripts), said again on a lab of three hosts. What is another on every run is
// normalised; where Skein means to answer otherwise, docker-cli-differences.ts says how and why.
// A client of another series than the transcripts' is held to exit codes only (test/contract/docker-client.ts).
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { speakerTo } from "../contract/says.js";
import { normalised, type Transcript } from "../contract/transcript.js";
import { meantLive } from "./docker-cli-differences.js";
import { Lab, type Result, until } from "./lab.js";

// What dockerd of the transcripts speaks.
const API_VERSION = "1.41";

let lab: Lab;
const tokens = { worker: "", manager: "" };

beforeAll(async () => {
  lab = await Lab.up("dockercli", 3);
});
afterAll(async () => {
  await lab?.down();
});

/** h1 of the transcripts is 192.168.133.1, h1 of a lab 192.168.33.10. */
function inLab(text: string): string {
  return text.replace(/192\.168\.133\.(\d+)/g, (_, last) => `192.168.33.${9 + Number(last)}`);
}

/** The tokens of the transcripts' swarm become those of this one; images become the process runtime. */
function argsOf({ args, name }: Transcript): readonly string[] {
  return args.map((arg) => {
    if (arg === "alpine") return "process";
    // sleep(1) of a machine's own knows "1d" as well.
    if (!arg.startsWith("SWMTKN-1-")) return inLab(arg);
    if (name === "swarm-join-manager") return tokens.manager;
    if (name === "swarm-join-wrong-secret") {
      return tokens.worker.replace(/[^-]*$/, "0".repeat(25));
    }
    return /^SWMTKN-1-(bad$|1222)/.test(arg) ? arg : tokens.worker;
  });
}

function docker(host: string, args: readonly string[], stdin = ""): Promise<Result> {
  const env = ["TZ=UTC", `DOCKER_API_VERSION=${API_VERSION}`];
  return lab.on(host, "sh", "-c", 'printf %s "$0" | env "$@"', stdin, ...env, "docker", ...args);
}

// What is this machine's own, and the order of what has random names.
function live(text: string): string {
  return normalised(inLab(text))
    .replace(/( ID: )\S+/, "$1<agent>")
    .replace(/(Docker Root Dir: ).*/, "$1<folder>")
    .replace(/((Kernel Version|Operating System|CPUs|Total Memory): ).*/g, "$1<machine>")
    .replace(/((containerd version|Cgroup Version): ).*/g, "$1<machine>")
    .replace(/(containerd:\n +Version:\s+).*(\n +GitCommit:\s+).*/, "$1<machine>$2<machine>")
    .replace(/("(NanoCPUs|MemoryBytes)": )\d+/g, "$1<machine>")
    .replace(/( Number: | (CPUs|Memory):\s+)\S+/g, "$1<machine>")
    .replace(/("EndpointID": ")[0-9a-z]{25}"/g, '$1<id>"')
    .replace(
      /("Containers": \{\n)([\s\S]*?)(\n {8}\})/,
      (_, head, rows, tail) => head + byName(rows) + tail,
    );
}

/** Rows of a JSON object whose keys are random, in the order of the names that they hold. */
function byName(rows: string): string {
  const nameOf = (row: string) => /"Name": "([^"]*)"/.exec(row)?.[1] ?? "";
  return rows
    .split(/(?<=\n {12}\}),\n/)
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    .join(",\n");
}

const { says } = speakerTo({
  run: async (host, args, stdin) => {
    const { code, ...said } = await docker(host, args, stdin);
    return { exitCode: code, ...said };
  },
  argsOf,
  meant: (transcript) => {
    const { code, ...said } = meantLive(transcript);
    return { exitCode: code, ...said };
  },
  comparable: live,
  patienceMs: 0,
});

/** Docker's CLI answers before the swarm is as it was told; dockerd's transcripts waited too. */
function whenNodesAre(...lines: readonly string[]): void {
  test(`in time: ${lines.join(", ")}`, async () => {
    const format = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}";
    await until("the nodes are so", async () => {
      const { stdout } = await docker("h1", ["node", "ls", "--format", format]);
      const now = stdout.split("\n").map((line) => line.trim());
      return lines.every((line) => now.includes(line));
    });
  });
}

describe("a node that is in no swarm", () => {
  says("swarm-join-token-no-swarm");
  says("swarm-update-no-swarm");
  says("swarm-leave-no-swarm");
  says("node-ls-no-swarm");
  says("secret-ls-no-swarm");
  says("stack-ls-no-swarm");
  says("swarm-update-nothing");
  says("swarm-init-bad-addr");
  says("info-inactive");
  says("version");
});

describe("an autolocked swarm", () => {
  const LOCKED =
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.';
  const swarmOf = async () => {
    const { stdout } = await docker("h1", ["info", "--format", "{{json .Swarm}}"]);
    return JSON.parse(stdout);
  };
  const keyNow = async () => (await docker("h1", ["swarm", "unlock-key", "-q"])).stdout;
  const stateOf = async () => (await swarmOf()).LocalNodeState;
  const restart = async (state: string) => {
    await lab.must("stop", "h1");
    await lab.must("start", "h1");
    await until("it answers", async () => (await stateOf()) === state);
  };
  let key = "";

  says("swarm-init-options");
  says("swarm-unlock-key-quiet");
  test("is locked after a start, and says so", async () => {
    key = await keyNow();
    await restart("locked");
    // As dockerd's (http/info-locked).
    expect(await swarmOf()).toEqual({
      NodeID: "",
      NodeAddr: "192.168.33.10",
      LocalNodeState: "locked",
      ControlAvailable: false,
      Error: LOCKED,
      RemoteManagers: null,
    });
  });
  says("node-ls-locked");
  says("swarm-unlock-wrong");
  test("is left by force only", async () => {
    const { code, stderr } = await docker("h1", ["swarm", "leave"]);
    expect([code, stderr]).toEqual([
      1,
      "Error response from daemon: Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.\n",
    ]);
  });
  test("is unlocked with its key", async () => {
    expect(await docker("h1", ["swarm", "unlock"], key)).toMatchObject({ code: 0, stderr: "" });
    expect(await docker("h1", ["node", "ls"])).toMatchObject({ code: 0 });
    const again = await docker("h1", ["swarm", "unlock"], key);
    expect([again.code, again.stderr]).toEqual([1, "Error: swarm is not locked\n"]);
  });
  test("is unlocked by its agent when only its manager process has ended", async () => {
    await lab.must("kill", "h1", "manager");
    await until("it answers", async () => (await docker("h1", ["node", "ls"])).code === 0);
  });
  says("swarm-unlock-key-rotate");
  test("opens with its new key alone", async () => {
    const old = key;
    key = await keyNow();
    expect(key).not.toBe(old);
    await until("the agent's own key is sealed with it", async () => {
      const opened = await lab.on(
        "h1",
        "openssl",
        "pkey",
        "-noout",
        "-in",
        join(lab.folder("h1"), "state/identity/key.pem"),
        "-passin",
        `pass:${key.trim()}`,
      );
      return opened.code === 0;
    });
    await restart("locked");
    expect(await docker("h1", ["swarm", "unlock"], old)).toMatchObject({ code: 1 });
    expect(await stateOf()).toBe("locked");
    expect(await docker("h1", ["swarm", "unlock"], key)).toMatchObject({ code: 0 });
  });
  says("swarm-autolock-off");
  test("is not locked any more", async () => {
    const { stdout, stderr } = await docker("h1", ["swarm", "unlock-key"]);
    expect([stdout, stderr]).toEqual(["", "no unlock key is set\n"]);
    await until("the disk is open", async () => {
      const text = readFileSync(join(lab.folder("h1"), "state/manager/data-key.json"), "utf8");
      const pem = readFileSync(join(lab.folder("h1"), "state/identity/key.pem"), "utf8");
      return text.includes('"sealedBy":"none"') && pem.startsWith("Sealed-By: node-key");
    });
    await restart("active");
  });
  says("swarm-autolock-on");
  test("is left when it is locked, and nothing of it stays", async () => {
    await until("the agent's own key is sealed", async () =>
      readFileSync(join(lab.folder("h1"), "state/identity/key.pem"), "utf8").includes("unlock-key"),
    );
    await restart("locked");
    expect(await docker("h1", ["swarm", "leave", "--force"])).toMatchObject({ code: 0 });
    expect(await stateOf()).toBe("inactive");
    expect(existsSync(join(lab.folder("h1"), "state/identity"))).toBe(false);
    expect(existsSync(join(lab.folder("h1"), "state/manager/data-key.json"))).toBe(false);
  });
  test("nobody wrote a key into a log", () => {
    const log = readFileSync(join(lab.folder("h1"), "agent.log"), "utf8");
    expect(log).not.toContain("SWMKEY");
    expect(log).not.toContain(key.trim().slice("SWMKEY-1-".length));
  });
});

describe("a swarm is made and joined", () => {
  says("swarm-init");
  test("its tokens", async () => {
    for (const role of ["worker", "manager"] as const) tokens[role] = await lab.token("h1", role);
  });
  says("swarm-init-again");
  says("swarm-ca");
  says("node-inspect-self");
  says("network-ls-fresh");
  says("swarm-join-bad-token");
  says("swarm-join-wrong-secret");
  says("swarm-join-wrong-ca");
  says("swarm-join-refused");
  says("swarm-join-unreachable");
  says("swarm-join-worker");
  says("swarm-join-again");
  says("swarm-join-token-on-worker");
  says("node-ls-worker");
  says("service-create-worker");
  says("network-create-on-worker");
  whenNodesAre("h2 Ready Active");
  says("node-ls-manager");
  says("swarm-join-manager");
  whenNodesAre("h3 Ready Active Reachable");
  says("node-ls-two-managers");
  says("node-ls-second-manager");
  says("node-ls-format");
  says("node-ls-format-json");
  says("node-inspect-missing");
  says("node-inspect-pretty-worker");
  says("info-manager");
  says("info-manager-json");
  says("info-worker");
  says("swarm-join-token-quiet");
});

describe("networks", () => {
  test("what comes first takes a subnet that the transcripts' swarm has taken too", async () => {
    await docker("h1", ["network", "create", "-d", "overlay", "filler"]);
  });
  says("network-create-attachable");
  says("network-create-encrypted");
  says("network-create-internal");
  says("network-create-mtu-vni");
  says("network-create-overlay");
  says("network-create-subnet");
  says("network-create-overlapping");
  says("network-create-ipv6");
  says("network-create-ip-range");
  says("network-create-two-subnets");
  says("network-create-host-bits");
  says("network-create-bad-subnet");
  says("network-create-bad-subnet-text");
  says("network-create-bad-name");
  says("network-create-bad-driver");
  says("network-create-gateway-outside");
  says("network-create-no-name");
  says("network-create-ingress-second");
  test("the filler goes", async () => {
    expect((await docker("h1", ["network", "rm", "filler"])).stdout).toBe("filler\n");
  });
  says("network-inspect-options");
  says("network-inspect-missing");
  says("network-inspect-on-worker-before");
  says("network-ls-filter-label");
  says("network-ls-filter");
  says("network-rm-ingress");
});

describe("containers on them", () => {
  says("container-run-attach-manager");
  says("container-run-attach-worker");
  says("container-run-alias");
  says("network-inspect-containers-manager");
  says("network-inspect-containers-verbose");
  says("container-run-static-ip");
  says("container-run-static-ip-taken");
  says("container-run-static-ip-outside");
  says("container-run-nonattachable");
  says("container-run-no-network");
  says("container-run-two-networks");
  says("network-disconnect-again");
  says("container-same-name-other-node");
  says("container-rm");
  says("container-stop");
  says("network-inspect-after-stop");
  says("container-start");
  says("container-restart");
  says("network-rm-in-use");
});

describe("nodes are changed", () => {
  says("node-update-drain");
  whenNodesAre("h2 Ready Drain");
  says("node-ls-drain");
  says("node-update-active");
  says("node-update-pause");
  says("node-update-label");
  says("node-update-label-rm");
  says("node-update-active");
  says("node-update-bad-availability");
  says("node-promote");
  says("node-promote-again");
  says("node-promote-missing");
  whenNodesAre("h2 Ready Active Reachable");
  says("node-ls-three-managers");
  says("node-demote");
  says("node-demote-again");
  says("node-demote-last");
  says("node-ls-after-demote");
});

describe("the swarm is changed", () => {
  says("swarm-update");
  says("info-manager-after-update");
  says("swarm-ca-rotate-quiet-detach");
  test("its tokens name the root that it has moved to", async () => {
    for (const role of ["worker", "manager"] as const) {
      const before = tokens[role];
      await expect.poll(() => lab.token("h1", role), { timeout: 10_000 }).not.toBe(before);
      tokens[role] = await lab.token("h1", role);
    }
  });
  says("swarm-join-token-rotate");
  says("swarm-leave-last-manager");
});

describe("services, secrets and configs that are not there", () => {
  says("service-inspect-missing");
  says("service-ps-missing");
  says("service-update-missing");
  says("service-logs-missing");
  says("stack-rm-missing");
  says("stack-services-missing");
  says("stack-ps-missing");
});

describe("it all goes", () => {
  says("swarm-leave-worker");
  whenNodesAre("h2 Down Active");
  says("node-rm");
  says("node-rm-force-up");
  says("network-prune");
  says("network-rm");
  says("swarm-leave-last-manager-force");
  says("network-ls-after-leave");
});
